# What docs/security.md promises of the monitor's rights holds before a real server.
import re
import unittest

from harness import REDIS, ROOT, OnValkey, RedisServer, Spillway, until
from wire import ErrorReply, Wire


class LeastRights(unittest.TestCase):
    binary = REDIS

    def rights(self):
        """The lists of rights in the page: for memory figures, and what sampling adds, on newer servers even more."""
        page = (ROOT / "docs/security.md").read_text()
        figures, sampling, newer = re.findall(r"^    ACL SETUSER spillway (.+)$", page, re.M)
        return figures.replace(">PASSWORD", ">secret").split(), sampling.split(), newer.split()

    def served(self, sample):
        """Runs the monitor with these rights through an incident; gives what the server had to deny it."""
        figures, sampling, newer = self.rights()
        with RedisServer(binary=self.binary, maxmemory="8mb") as redis:
            password = redis.directory / "password"
            password.write_text("secret\n")
            redis.command("ACL", "SETUSER", "spillway", *figures)
            if sample:
                redis.command("ACL", "SETUSER", "spillway", *sampling)
                if redis.command("COMMAND", "INFO", "client|no-touch")[0]:
                    redis.command("ACL", "SETUSER", "spillway", *newer)
            with Spillway(redis, monitor={"user": "spillway", "password_file": str(password), "interval": "20ms"},
                          diagnosis={"sample": sample}) as spillway, Wire(spillway.endpoint) as wire:
                until("a sample", lambda: spillway.guard_state() == "plenty")
                redis.fill(1.0)
                until("no room", lambda: isinstance(wire.command("SET", "k", "x" * 100_000), ErrorReply))
                spillway.record("incident_opened")
                if sample:
                    until("keys that were looked at",
                          lambda: redis.calls("memory|usage") + redis.calls("strlen") > 0)
                return [entry[entry.index(b"object") + 1].decode() for entry in redis.command("ACL", "LOG")]

    def test_figures_alone(self):
        self.assertEqual(self.served(sample=False), [])

    def test_with_sampling(self):
        self.assertEqual(self.served(sample=True), [])


class LeastRightsOnValkey(OnValkey, LeastRights):
    pass


if __name__ == "__main__":
    unittest.main()
