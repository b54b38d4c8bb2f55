# What the guard did, or in observe mode would have done, by rule and client: status and the log's summary.
import json
import unittest

from harness import until
from test_guard import GuardTest

RULES = [{"name": "drain", "clients": ["worker-*"], "priority": "critical"},
         {"name": "cache", "keys": ["cache:*"], "priority": "sheddable"}]


class Observe(GuardTest):
    def verdicts(self, **wanted):
        """The status' verdicts, once their sums are these."""
        def reached():
            shown = self.spillway.api("status")["guard"]["verdicts"]
            return all(shown[name] == count for name, count in wanted.items()) and shown
        return until(f"verdicts {wanted}", reached)

    def rows(self, verdicts, *names):
        return {(row["rule"], row["client"]): tuple(row[name] for name in names) for row in verdicts["by"]}

    def write(self, client, keys):
        return self.wire(client).pipeline([("SET", key, "v" * 100) for key in keys])

    def test_observe_tells_what_protect_would_have_done(self):
        self.at_the_ceiling(guard={"mode": "observe", "rule": RULES})
        for client, keys in (("web", ["k"] * 7 + ["cache:1"] * 3), ("worker-1", ["k"] * 5), (None, ["k"] * 2)):
            self.assertEqual(set(self.write(client, keys)), {"OK"})
        verdicts = self.verdicts(would_refuse=12)
        self.assertEqual(self.rows(verdicts, "would_refuse", "refused"),
                         {(None, "web"): (7, 0), ("cache", "web"): (3, 0), (None, None): (2, 0)})
        self.assertEqual((verdicts["refused"], verdicts["held"]), (0, 0))
        self.assertGreater(verdicts["bytes"], 12 * 100)
        self.assertEqual(verdicts["other"]["would_refuse"], 0)
        spillway = self.spillway
        spillway.child.terminate()
        spillway.child.wait(10)
        summary = spillway.records("guard_summary")
        self.assertEqual(len(summary), 1, "one when it stops, since the minute is not over")
        self.assertEqual((summary[0]["mode"], summary[0]["would_refuse"]), ("observe", 12))
        self.assertEqual(self.rows(summary[0], "would_refuse")[(None, "web")], (7,))
        self.assertIn("would have refused 12 commands; client web: would have refused 7", summary[0]["msg"])

    def test_protect_tells_what_it_did(self):
        self.at_the_ceiling(guard={"rule": RULES})
        self.write("web", ["k", "cache:1"])
        self.write("worker-1", ["k"])
        verdicts = self.verdicts(refused=2)
        self.assertEqual(self.rows(verdicts, "refused", "would_refuse"),
                         {(None, "web"): (1, 0), ("cache", "web"): (1, 0)})

    def test_the_same_counts_over_a_change_of_mode(self):
        self.at_the_ceiling(guard={"mode": "observe"})
        self.write("web", ["k"])
        self.verdicts(would_refuse=1)
        status, _, _ = self.spillway.request("POST", "/api/v1/mode", json.dumps({"mode": "protect"}),
                                             {"Content-Type": "application/json"})
        self.assertEqual(status, 200)
        until("a refusal", lambda: self.write("web", ["k"]) != ["OK"])
        self.assertEqual(self.verdicts(refused=1)["would_refuse"] >= 1, True)

    def test_many_clients_are_bounded_and_the_heavy_one_is_kept(self):
        self.at_the_ceiling(guard={"mode": "observe"})
        self.write("heavy", ["k"] * 500)
        wire = self.wire()
        for n in range(200):
            wire.command("CLIENT", "SETNAME", f"light-{n}")
            wire.command("SET", "k", "v")
        verdicts = self.verdicts(would_refuse=700)
        self.assertLessEqual(len(verdicts["by"]), 64)
        self.assertEqual((verdicts["by"][0]["client"], verdicts["by"][0]["would_refuse"]), ("heavy", 500))
        self.assertEqual(sum(row["would_refuse"] for row in verdicts["by"]) + verdicts["other"]["would_refuse"], 700)

    def test_nothing_to_say(self):
        self.start()
        self.spillway.wait_state("plenty")
        self.write("web", ["k"])
        verdicts = self.verdicts()
        self.assertEqual((verdicts["by"], verdicts["held"], verdicts["refused"]), ([], 0, 0))
        self.spillway.child.terminate()
        self.spillway.child.wait(10)
        self.assertEqual(self.spillway.records("guard_summary"), [])


if __name__ == "__main__":
    unittest.main()
