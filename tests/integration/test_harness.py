# The tests' own test: a faithful pump passes for Spillway, each faulty one is found out.
import contextlib
import unittest

from cases_session import SESSION
from differential import Backend, Case, Route, difference, one, say
from harness import PUMP

# Dialogues in which each fault has something to spoil.
DIALOGUES = (
    one("pipeline", "SET k value", "GET k", "ECHO a", "ECHO b", "DEL k"),
    next(case for case in SESSION if case.name == "quit"),
    Case("messages", (say("a", "SUBSCRIBE ch"), say("b", "PUBLISH ch one"), say("a", "PING"))),
    one("replies after a half-close", "DEBUG SLEEP 0.05", "ECHO late"),
)
FOUND_BY = {"drop": "pipeline", "flip": "pipeline", "repeat": "pipeline", "swap": "pipeline",
            "edit_request": "pipeline", "no_close": "quit", "early_close": "replies after a half-close"}


class Differences(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        cls.backend = Backend(cls.stack, {})

    def found(self, fault):
        """The names of the dialogues that differ through a pump with this fault."""
        with contextlib.ExitStack() as stack:
            endpoint = self.backend.front(stack, Route(binary=PUMP, env={"PUMP_FAULT": fault}))
            return {case.name for case in DIALOGUES if difference(
                self.backend.run(case, self.backend.redis.endpoint),
                self.backend.run(case, endpoint, split="bytes", timeout=1.0))}

    def test_a_faithful_pump_passes(self):
        self.assertEqual(self.found(""), set())

    def test_cutting_replies_anew_is_no_difference(self):
        self.assertEqual(self.found("chop"), set())

    def test_every_fault_is_found(self):
        for fault, name in FOUND_BY.items():
            with self.subTest(fault):
                self.assertIn(name, self.found(fault))


if __name__ == "__main__":
    unittest.main()
