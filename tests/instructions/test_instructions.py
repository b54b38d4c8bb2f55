# What a command costs between the sockets must not grow unseen: instructions, as callgrind counts them, and allocations.
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

PROGRAM = os.environ["COMMAND_COSTS_BIN"]
BASELINE = Path(__file__).with_name("baseline.txt")
MEASURED = "spillway::bench::Traffic::measured(unsigned long)"
TOLERANCE = 0.02
RENEW = "SPILLWAY_RENEW_DOCS=1 ctest --preset dev -R instructions"


def rows(output):
    """Name, commands and allocations of each kind of load."""
    return [(name, int(commands), int(allocations))
            for name, commands, allocations in (line.split() for line in output.splitlines())]


def counted():
    """Instructions per command of each kind of load, rounded."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", f"--toggle-collect={MEASURED}",
             f"--dump-after={MEASURED}", PROGRAM], capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise AssertionError(done.stderr[-2000:])
        found = {}
        for number, (name, commands, _) in enumerate(rows(done.stdout), start=1):
            total = re.search(r"^totals: (\d+)", Path(f"{out}.{number}").read_text(), re.M)
            found[name] = round(int(total[1]) / commands)
        return found


class Commands(unittest.TestCase):
    def test_cost_no_allocation(self):
        done = subprocess.run([PROGRAM], capture_output=True, text=True, timeout=60, check=True)
        for name, _, allocations in rows(done.stdout):
            self.assertEqual(allocations, 0, name)

    @unittest.skipUnless(os.environ.get("COMPILER") == "GNU 12", "the figures are those of GCC 12")
    @unittest.skipUnless(shutil.which("valgrind"), "valgrind is not installed")
    def test_cost_the_instructions_that_they_did(self):
        found = counted()
        if os.environ.get("SPILLWAY_RENEW_DOCS"):
            BASELINE.write_text("# Instructions a command between the sockets, dev preset, GCC 12. Renew with:\n"
                                f"# {RENEW}\n" + "".join(f"{name:18} {count:5}\n" for name, count in found.items()))
        lines = [line.split() for line in BASELINE.read_text().splitlines() if not line.startswith("#")]
        known = {name: int(count) for name, count in lines}
        self.assertEqual(list(found), list(known))
        changed = [f"{name}: {known[name]} -> {count} instructions" for name, count in found.items()
                   if abs(count - known[name]) > TOLERANCE * known[name]]
        self.assertEqual(changed, [], f"If that is meant, or got better, say so in the commit and renew with: {RENEW}")


if __name__ == "__main__":
    unittest.main()
