# What `spillway check --explain` says of a command, as an operator asks it.
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import spillway_command, toml

RULES = [{"name": "web", "commands": ["@growing"], "listeners": ["web"], "priority": "critical"},
         {"name": "alice", "users": ["alice"], "priority": "critical"},
         {"name": "jobs", "keys": ["job:*"], "clients": ["worker-*"], "priority": "sheddable"}]


class Explain(unittest.TestCase):
    def explain(self, *args, code=0, **guard):
        config = {"listener": [{"address": "127.0.0.1:6390"}, {"name": "web", "address": "127.0.0.1:6391"}],
                  "guard": {"rule": RULES, **guard}}
        path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "spillway.toml"
        path.write_text(toml(config) + "\n")
        done = subprocess.run([*spillway_command(), "check", "-c", path, *args], capture_output=True, text=True,
                              timeout=20)
        self.assertEqual(done.returncode, code, done)
        self.assertEqual(done.stdout == "", code != 0)
        self.assertNotIn("\x1b", done.stdout)
        return done.stderr if code else done.stdout

    def test_the_rule_that_is_met_and_why_not_those_before_it(self):
        text = self.explain("--explain", "set 'job:1 a' x", "--client", "worker-7")
        self.assertRegex(text, r"web +\S*spillway\.toml:\d+ +no: listener \"127\.0\.0\.1:6390\" is not in listeners")
        self.assertRegex(text, r"alice +\S*spillway\.toml:\d+ +no: user \"default\" matches none of users \"alice\"")
        self.assertRegex(text, r"jobs +\S*spillway\.toml:\d+ +matches: priority sheddable")
        self.assertRegex(text, r"class +growing: ")
        self.assertRegex(text, r"charge +\d+ bytes")
        self.assertRegex(text, r"(?m)^  blind +passes$")
        self.assertRegex(text, r"(?m)^  paced +waits for credit, 250ms at most; then refused +-OOM spillway")
        self.assertRegex(text, r"(?m)^  ceiling +refused +-OOM spillway .*near-ceiling .*priority sheddable\)$")

    def test_who_sends_it_decides(self):
        self.assertRegex(self.explain("--explain", "SET k x", "--listener", "web"),
                         r"web .*matches: priority critical\n +alice .*not reached")
        self.assertRegex(self.explain("--explain", "SET k x", "--user", "alice"), r"alice .*matches: priority critical")
        text = self.explain("--explain", "SET k x")
        self.assertRegex(text, r"jobs .*no: a client without a name matches none of clients \"worker-\*\"")
        self.assertIn("no rule matches: priority normal", text)
        self.assertRegex(self.explain("--explain", "SET k x", "--client", "worker-1"),
                         r"jobs .*no: key \"k\" matches none of keys \"job:\*\"")

    def test_classes(self):
        for command, name in (("GET a", "other"), ("DEL a", "freeing"), ("EVAL x 0", "script"),
                              ("COPY a b", "unbounded"), ("EXPIRE a 1", "ungated"), ("setrange a 5 x", "growing")):
            with self.subTest(command):
                text = self.explain("--explain", command)
                self.assertRegex(text, rf"class +{name}: ")
                self.assertEqual("refused  -OOM" in text, name in ("growing", "unbounded"))
        self.assertIn("it passes, uncharged", self.explain("--explain", "SORT list"))

    def test_limits_for_single_writes(self):
        self.assertRegex(self.explain("--explain", "SET k " + "x" * 2000, write_max="1kb"),
                         r"(?m)^  plenty +refused +-OOM spillway refused this write: write-max")
        self.assertRegex(self.explain("--explain", "SETRANGE k 1000000 x"), r"ceiling +refused .*oversized-write")

    def test_other_modes_say_what_protect_would_do(self):
        self.assertIn("every byte passes; protect would do this", self.explain("--explain", "SET a b", mode="observe"))

    def test_questions_that_make_no_sense(self):
        for args, said in ((["--explain", "SETT a b"], "did you mean SET?"), (["--explain", " "], "no command"),
                           (["--explain", ""], "needs a value"), (["--explain"], "needs a value"),
                           (["--explain", "SET 'a b"], "quotes"), (["--client", "x"], "goes with --explain"),
                           (["--explain", "GET a", "--listener", "wbe"], "no listener"),
                           (["--explain", "MOD.CMD a"], "running proxy")):
            with self.subTest(args):
                self.assertIn(said, self.explain(*args, code=2))


if __name__ == "__main__":
    unittest.main()
