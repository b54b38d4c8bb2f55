# The programs of bench/ run, tell a met bar from a missed one, and write what can be read.
import json
import os
import subprocess
import sys
import unittest
import xml.etree.ElementTree

from harness import ROOT, spillway_command

RUN_S = 60.0
sys.path.insert(0, str(ROOT / "bench"))


def run(program, *arguments, flags=()):
    """One of bench/'s programs with the Spillway under test, to which flags are given."""
    command = " ".join([*spillway_command(), *flags])
    return subprocess.run([sys.executable, str(ROOT / "bench" / program), "--spillway", command, *arguments],
                          env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, timeout=RUN_S)


class Scenarios(unittest.TestCase):
    HEADER = ("--only", "header", "--set", "megabytes=100")

    def test_a_table_with_all_bars_met(self):
        ended = run("scenarios.py", *self.HEADER)
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        lines = ended.stdout.splitlines()
        head, first = lines[1], lines[3]
        for column in ("scenario", "measured", "Redis alone", "with Spillway", "bar", "verdict"):
            self.assertIn(column, head)
        self.assertEqual(first.index("<= 3 MB"), head.index("bar"), "columns are aligned")
        self.assertTrue(first.endswith("ok"), first)
        self.assertIn("all 3 bars met", ended.stdout)

    def test_a_missed_bar_is_told(self):
        ended = run("scenarios.py", "--json", *self.HEADER, flags=("--mode", "observe"))
        self.assertEqual(ended.returncode, 1, ended.stdout + ended.stderr)
        result = json.loads(ended.stdout)
        rows = {row["measured"]: row["verdict"] for row in result["scenarios"]["header"]["rows"]}
        self.assertEqual(rows["Redis' memory grows by"], "missed")
        self.assertGreaterEqual(result["missed"], 1)
        self.assertEqual(result["scenarios"]["header"]["numbers"]["megabytes"], 100)

    def test_names_and_numbers(self):
        listed = run("scenarios.py", "--list")
        self.assertEqual(listed.returncode, 0)
        self.assertIn("maxmemory 64", listed.stdout)
        unknown = run("scenarios.py", "--only", "nosuch")
        self.assertEqual(unknown.returncode, 2)
        self.assertIn("no scenario nosuch", unknown.stderr)


class Proxies(unittest.TestCase):
    def test_ratios_to_a_redis_asked_directly(self):
        ended = run("proxies.py", "--rounds", "1", "--scale", "0.02", "--workloads", "get", "--peers", "--json")
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        rows = json.loads(ended.stdout)["get"]
        self.assertEqual(list(rows), ["direct", "spillway"])
        self.assertEqual(rows["direct"]["of_direct"], 1)
        self.assertGreater(rows["spillway"]["proxy_us"], 0)
        self.assertGreater(rows["spillway"]["rps"], 0)


class Charts(unittest.TestCase):
    def test_they_are_svg_and_name_what_they_show(self):
        import charts
        curves = {"one": [(0, 60), (10, 100)], "two & more": [(0, 60.5), (10, 97)]}
        for svg in (charts.memory_svg(curves, {"one": "5 replies", "two & more": "none"}, "a <burst>", 0.97),
                    charts.bars_svg({"GET": {"one": 1.5, "two & more": 3}}, "us", "a <burst>")):
            texts = ["".join(node.itertext()) for node in xml.etree.ElementTree.fromstring(svg)]
            for text in ("one", "two & more", "a <burst>"):
                self.assertIn(text, texts)


if __name__ == "__main__":
    unittest.main()
