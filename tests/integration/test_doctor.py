# spillway doctor: exit status, what it needs and says when it lacks it, the terminal, --json and --watch.
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

from harness import ROOT, RedisServer, free_port, spillway_command

MB = 1 << 20
MEMBERS = {"target", "server", "state", "cause", "confidence", "evidence", "also", "advice", "memory", "keyspace",
           "sampled", "unavailable"}


def doctor(*arguments, **options):
    done = subprocess.run([*spillway_command(), "doctor", *arguments], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, **options)
    return done.returncode, done.stdout, done.stderr


class DoctorTest(unittest.TestCase):
    def server(self, **settings):
        self.redis = self.enterContext(RedisServer(**settings))
        return self.redis

    def fill(self):
        while True:
            batch = [("SET", f"cart:{n}", "x" * 5000) for n in range(self.redis.command("DBSIZE"), 20_000)[:200]]
            if "OK" != self.redis.control.pipeline(batch)[-1]:
                return


class ExitStatus(DoctorTest):
    def test_healthy(self):
        self.server(maxmemory="64mb")
        code, out, err = doctor(self.redis.url)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("HEALTHY", out)
        self.assertNotIn("\x1b", out, "a pipe gets no colour")
        self.assertTrue(out.isascii(), "nor anything but ASCII")

    def test_in_oom(self):
        self.server(maxmemory="16mb")
        self.fill()
        code, out, err = doctor(self.redis.url)
        self.assertEqual((code, err), (4, ""))
        for part in ("OUT OF MEMORY", "noeviction-at-ceiling", "Why we think so", "What to do", "cart:*"):
            self.assertIn(part, out)

    def test_at_risk(self):
        self.server(maxmemory="64mb")
        self.redis.fill(1.1, size=2000)
        self.assertGreater(self.redis.oom_errors(), 0)
        self.redis.control.pipeline([("DEL", f"fill:{n}") for n in range(500)])  # and there is 2 % of room again
        self.assertEqual(doctor(self.redis.url)[0], 3)

    def test_nobody_is_there(self):
        code, out, err = doctor(f"redis://user:hidden@127.0.0.1:{free_port()}")
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, "cannot connect to 127.0.0.1:[0-9]+: Connection refused\n.*running")
        self.assertNotIn("hidden", err)

    def test_something_else_answers(self):
        self.server(password="right")
        for url, said in ((f"redis://:wrong@127.0.0.1:{self.redis.port}", "WRONGPASS"),
                          (f"redis://127.0.0.1:{self.redis.port}", "NOAUTH")):
            code, out, err = doctor(url)
            self.assertEqual((code, out), (1, ""))
            self.assertIn(said, err)
            self.assertNotIn("wrong@", err)

    def test_wrong_usage(self):
        for arguments, said in (((), "needs the URL"), (("redis://127.0.0.1:1", "--ca", "x"), "rediss"), (("http://x",), "URL"),
                                (("redis://h:1", "--mode", "off"), "--mode")):
            code, out, err = doctor(*arguments)
            self.assertEqual((code, out), (2, ""), arguments)
            self.assertIn(said, err)


class Reading(DoctorTest):
    def test_json(self):
        self.server(maxmemory="16mb", password="se/cret")
        self.fill()
        code, out, _ = doctor(f"redis://:se%2Fcret@127.0.0.1:{self.redis.port}", "--json")
        told = json.loads(out)
        self.assertEqual((code, out.count("\n")), (4, 1))
        self.assertEqual(set(told), MEMBERS)
        self.assertEqual((told["target"], told["server"].split()[0]), (f"127.0.0.1:{self.redis.port}", "redis"))
        self.assertNotIn("cret", out)
        self.assertEqual(told["unavailable"], [])
        self.assertAlmostEqual(told["memory"]["used"], self.redis.used_memory(), delta=MB)
        self.assertEqual(told["sampled"]["patterns"][0]["pattern"], "cart:*")

    def test_unix_socket(self):
        self.server()
        self.assertEqual(doctor(f"unix://{self.redis.unix_path}", "--json")[0], 0)

    def test_several_databases_and_expiring_keys(self):
        self.server(maxmemory="64mb")
        self.redis.control.pipeline([("SET", f"a:{n}", "x" * 1000) for n in range(300)] + [("SELECT", 5)]
                                    + [("SET", f"b:{n}", "x" * 1000, "EX", 999) for n in range(100)] + [("SELECT", 0)])
        told = json.loads(doctor(self.redis.url, "--json")[1])
        self.assertTrue(told["sampled"]["complete"])
        self.assertAlmostEqual(told["sampled"]["with_ttl_bytes"]["share"], 0.25, delta=0.02)
        self.assertEqual({row["pattern"]: row["keys"] for row in told["sampled"]["patterns"]}, {"a:*": 300, "b:*": 100})

    def test_it_changes_nothing(self):
        self.server(maxmemory="64mb", maxmemory_policy="allkeys-lfu")
        self.redis.fill(0.3, size=1000)
        before = self.redis.command("DBSIZE")
        dirty = self.redis.info("persistence")["rdb_changes_since_last_save"]
        doctor(self.redis.url)
        self.assertEqual(self.redis.info("persistence")["rdb_changes_since_last_save"], dirty)
        self.assertEqual(self.redis.command("DBSIZE"), before)
        for name in ("keys", "config|set", "monitor", "flushall", "memory|purge", "object|freq", "object|idletime"):
            self.assertEqual(self.redis.calls(name), 0, name)


class Rights(DoctorTest):
    def documented(self):
        """The rights of the user in docs/diagnosis.md."""
        for line in (ROOT / "docs/diagnosis.md").read_text().splitlines():
            if "ACL SETUSER doctor" in line:
                return line.strip().replace("PASSWORD", "pw").split()
        raise AssertionError("docs/diagnosis.md shows no ACL SETUSER line")

    def look(self):
        code, out, err = doctor(f"redis://doctor:pw@127.0.0.1:{self.redis.port}", "--json")
        return code, json.loads(out) if out else None, err

    def test_the_documented_rights_are_enough(self):
        self.server(maxmemory="64mb")
        self.redis.fill(0.2, size=1000)
        self.redis.command(*self.documented())
        code, told, err = self.look()
        self.assertEqual((code, err, told["unavailable"]), (0, "", []))
        self.assertGreater(told["sampled"]["keys"], 1000)

    def test_what_is_missing_is_said(self):
        self.server(maxmemory="64mb")
        self.redis.fill(0.2, size=1000)
        for missing, said in (("memory|usage", "MEMORY USAGE"), ("client|list", "CLIENT LIST"), ("scan", "SCAN"),
                              ("object|idletime", "IDLETIME"), ("pttl", "PTTL"), ("type", "TYPE")):
            with self.subTest(missing):
                self.redis.command(*self.documented(), f"-{missing}")
                code, told, err = self.look()
                self.assertEqual((code, err), (0, ""))
                self.assertIn(said, " ".join(told["unavailable"]))
                self.assertIn("NOPERM", " ".join(told["unavailable"]))

    def test_without_info_there_is_nothing_to_say(self):
        self.server()
        self.redis.command(*self.documented(), "-info")
        code, told, err = self.look()
        self.assertEqual((code, told), (1, None))
        self.assertIn("+info", err)


class Terminal(DoctorTest):
    def run_on_terminal(self, *arguments, until_text=None, columns=100, **env):
        """What a person sees; ended by Ctrl-C once `until_text` was seen."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        base = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "LC_ALL", "LANG")}
        child = subprocess.Popen([*spillway_command(), "doctor", *arguments], stdin=slave, stdout=slave, stderr=slave,
                                 env={**base, "TERM": "xterm", "LANG": "C.UTF-8", **env}, start_new_session=True)
        os.close(slave)
        seen, deadline = b"", time.monotonic() + 30
        try:
            while time.monotonic() < deadline:
                if select.select([master], [], [], 0.1)[0]:
                    try:
                        seen += os.read(master, 65536)
                    except OSError:
                        break
                if until_text and seen.count(until_text) >= 2:
                    child.send_signal(signal.SIGINT)
                    until_text = None
            return child.wait(10), seen.decode()
        finally:
            os.close(master)
            if child.poll() is None:
                child.kill()
                child.wait()

    def test_colour_blocks_and_progress(self):
        self.server(maxmemory="64mb")
        self.redis.fill(0.3, size=1000)
        code, seen = self.run_on_terminal(self.redis.url)
        self.assertEqual(code, 0)
        self.assertIn("\x1b[1;32m HEALTHY \x1b[0m", seen)
        self.assertIn("█", seen)
        self.assertIn("watching memory", seen)
        self.assertIn("sampling keys", seen)

    def test_it_fits_eighty_columns(self):
        self.server(maxmemory="16mb")
        self.fill()
        seen = self.run_on_terminal(self.redis.url, NO_COLOR="1", columns=80)[1]
        lines = [re.sub(r"\x1b\[[0-9;]*[mK]", "", line).rsplit("\r", 1)[-1] for line in seen.replace("\r\n", "\n").split("\n")]
        self.assertTrue(any("█" in line for line in lines))
        self.assertEqual([line for line in lines if len(line) > 80], [])

    def test_it_fits_forty_columns(self):
        self.server(maxmemory="16mb")
        self.fill()
        seen = self.run_on_terminal(self.redis.url, NO_COLOR="1", columns=40)[1]
        lines = [re.sub(r"\x1b\[[0-9;]*[mK]", "", line).rsplit("\r", 1)[-1] for line in seen.replace("\r\n", "\n").split("\n")]
        self.assertTrue(any("largest keys" in line for line in lines))
        self.assertEqual([line for line in lines if len(line) > 40], [])

    def test_keys_of_other_scripts_are_shown_as_they_are(self):
        self.server(maxmemory="16mb")
        for n in range(50):
            self.redis.command("SET", f"корзина:{n}", "x" * 1000)
        rows = [line.strip() for line in doctor(self.redis.url)[1].splitlines() if "корзина:" in line]
        self.assertTrue(any(row.startswith("корзина:* ") for row in rows), rows)
        self.assertTrue(any(re.match(r"корзина:\d+ ", row) for row in rows), rows)

    def test_no_color(self):
        self.server(maxmemory="64mb")
        code, seen = self.run_on_terminal(self.redis.url, NO_COLOR="1", LANG="C")
        self.assertEqual(code, 0)
        self.assertNotIn("\x1b[1;", seen)
        self.assertNotIn("█", seen)

    def test_watch_until_control_c(self):
        self.server(maxmemory="64mb")
        code, seen = self.run_on_terminal(self.redis.url, "--watch", until_text=b"HEALTHY")
        self.assertEqual(code, 0)
        self.assertGreaterEqual(seen.count("HEALTHY"), 2)

    def test_watch_outlives_a_server_that_goes(self):
        self.server(maxmemory="64mb")
        child = subprocess.Popen([*spillway_command(), "doctor", "--watch", "--json", self.redis.url],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            self.assertEqual(json.loads(child.stdout.readline())["state"], "healthy")
            self.redis.kill()
            self.assertIn("127.0.0.1", child.stderr.readline())
            self.assertIsNone(child.poll())
        finally:
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=10)
        self.assertEqual(child.returncode, 1)


if __name__ == "__main__":
    unittest.main()
