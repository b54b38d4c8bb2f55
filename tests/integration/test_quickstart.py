# scripts/quickstart shows what it promises, in a pipe and from any directory, and leaves nothing behind.
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from harness import ROOT, spillway_command, until
from wire import Wire

SCRIPT = str(ROOT / "scripts/quickstart")
SHOW_S = 120.0


class QuickstartTest(unittest.TestCase):
    """Each test has a temporary directory of its own, by which its processes are known."""

    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix="quickstart-test-"))
        self.addCleanup(self.end_all)

    def environment(self, **changes):
        command = shlex.join(spillway_command())
        return {**os.environ, "SPILLWAY_BIN": command, "TMPDIR": self.directory, "LC_ALL": "C.UTF-8", **changes}

    def run_script(self, *arguments, **changes):
        return subprocess.run([SCRIPT, *arguments], cwd=self.directory, env=self.environment(**changes),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SHOW_S)

    def processes(self):
        """Pids of what works in this test's directory, or was told to keep its files there."""
        wanted, found = f"TMPDIR={self.directory}".encode(), []
        for entry in Path("/proc").iterdir():
            try:
                # Redis writes its title over its environment, so that only its folder tells.
                if entry.name.isdigit() and (os.readlink(entry / "cwd").startswith(self.directory) or
                                             wanted in (entry / "environ").read_bytes().split(b"\0")):
                    found.append(int(entry.name))
            except OSError:
                continue  # it has ended, or belongs to another user
        return found

    def end_all(self):
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)

    def assert_nothing_left(self):
        until("the end of all that was started", lambda: not self.processes())
        self.assertEqual(os.listdir(self.directory), [])


class Show(QuickstartTest):
    def figures(self, text, label):
        """The two figures of one line of the table."""
        match = re.search(rf"^ +{re.escape(label)} +([\d,.]+)[^\d\n]*?(?: of [\d,]+)? +([\d,.]+)", text, re.M)
        self.assertTrue(match, f"no line {label!r} in:\n{text}")
        return [float(figure.replace(",", "")) for figure in match.groups()]

    def test_both_bursts_and_a_record(self):
        ended = self.run_script("--once", "--seconds", "8")
        text = ended.stdout
        self.assertEqual(ended.returncode, 0, text + ended.stderr)
        self.assertEqual(ended.stderr, "")
        self.assertNotIn("\033", text, "a pipe gets no colours")

        direct, guarded = self.figures(text, "bare OOM errors")
        self.assertGreater(direct, 0)
        self.assertEqual(guarded, 0)
        self.assertEqual(self.figures(text, "reads that failed"), [0, 0])
        self.assertGreater(min(self.figures(text, "reads")), 100)
        self.assertGreater(min(self.figures(text, "writes accepted")), 20_000)
        done_direct, done_guarded = self.figures(text, "jobs done")
        self.assertLess(done_direct, done_guarded)
        direct, guarded = self.figures(text, "times it was refused")
        self.assertGreater(direct, 0)
        self.assertEqual(guarded, 0)
        direct, guarded = self.figures(text, "memory at the end, of maxmemory")
        self.assertGreater(direct, 99.0)
        self.assertTrue(85.0 < guarded < 99.5, guarded)

        self.assertIn("OOM command not allowed when used memory > 'maxmemory'.", text)
        for mark in ("85 %", "97 %", "100 %"):
            self.assertRegex(text, rf"(?m)^ +{mark}  [ ▁▂▃▄▅▆▇█┈]+$")
        self.assertRegex(text, r"Redis refused +SET cart:\* \([\d,]+ bytes\)")
        self.assertRegex(text, r"sent by +checkout at 127\.0\.0\.1:\d+, user default")
        self.assertRegex(text, r"cause +noeviction-at-ceiling, confidence \d+ %")
        for label in ("memory", "evidence", "what to do"):
            self.assertRegex(text, rf"(?m)^  {label} +\S")
        self.assert_nothing_left()


class Stop(QuickstartTest):
    def start(self):
        self.out = Path(self.directory, "..", Path(self.directory).name + ".out").resolve()
        self.addCleanup(self.out.unlink, missing_ok=True)
        with open(self.out, "wb") as out:
            self.child = subprocess.Popen([SCRIPT, "--seconds", "5"], cwd="/", env=self.environment(LC_ALL="C"),
                                          stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.addCleanup(self.child.wait)
        self.addCleanup(self.child.kill)

    def wait_for(self, pattern):
        return until(f"a line like {pattern!r}", lambda: re.search(pattern, self.out.read_text()), SHOW_S)

    def end(self, signum):
        self.child.send_signal(signum)
        code = self.child.wait(20)
        self.assertIn("stopped", self.out.read_text().splitlines()[-1])
        self.assert_nothing_left()
        return code

    def test_both_stay_up_until_they_are_stopped(self):
        """Shown with the characters that any locale has."""
        self.start()
        port = int(self.wait_for(r"redis-cli -p (\d+) get product:7")[1])
        with Wire(("127.0.0.1", port)) as wire:
            self.assertTrue(wire.command("GET", "product:7").startswith(b"product 7"))
            self.assertRegex(wire.command("SETRANGE", "cart:huge", 9999999, "x"), "^OOM spillway refused")
            wire.command("FLUSHALL")
            until("room", lambda: wire.command("SETRANGE", "cart:huge", 9999999, "x") == 10_000_000)
            self.assertEqual(self.end(signal.SIGINT), 0)
        text = self.out.read_text()
        self.assertTrue(text.isascii())
        self.assertRegex(text, r"(?m)^ +85 %  [-_# ]+$")

    def test_stopped_in_the_middle(self):
        self.start()
        self.wait_for("a Redis of 64 MB on port")
        self.assertEqual(self.end(signal.SIGTERM), 128 + signal.SIGTERM)


class Trouble(QuickstartTest):
    def test_wrong_usage(self):
        for arguments in (["--nosuch"], ["--seconds"], ["--seconds", "4"], ["--seconds", "x"], ["--seconds", "99"]):
            ended = self.run_script(*arguments)
            self.assertEqual(ended.returncode, 2, arguments)
            self.assertTrue(ended.stderr)
        self.assertEqual(self.run_script("--help").returncode, 0)

    def assert_says(self, pattern, **changes):
        ended = self.run_script("--once", "--seconds", "5", **changes)
        self.assertEqual(ended.returncode, 1, ended.stdout + ended.stderr)
        self.assertRegex(ended.stdout, pattern)
        self.assert_nothing_left()

    def test_a_program_that_is_not_there(self):
        self.assert_says("quickstart: there is no program '/nonexistent/spillway'",
                         SPILLWAY_BIN="/nonexistent/spillway")

    def test_a_program_that_does_not_stay(self):
        failing = shlex.join([sys.executable, "-c", "import sys; sys.exit('it is broken')"])
        self.assert_says(r"quickstart: spillway ended at once\. Its last lines:\n +it is broken", SPILLWAY_BIN=failing)

    def test_no_redis(self):
        bin_folder = tempfile.mkdtemp(prefix="quickstart-path-")
        self.addCleanup(lambda: subprocess.run(["rm", "-r", bin_folder], check=True))
        for name in ("bash", "dirname", "cat", "env"):
            os.symlink(f"/usr/bin/{name}", f"{bin_folder}/{name}")
        self.assert_says(r"quickstart: redis-server is not installed\. Install it with: scripts/deps --run",
                         PATH=bin_folder)


if __name__ == "__main__":
    unittest.main()
