# Rules by listener and by user before a real Redis.
import unittest

from harness import RedisServer, Spillway, free_port, until
from test_guard import MB, GuardTest, refusals
from wire import Wire

RULES = [{"name": "web", "commands": ["@growing"], "listeners": ["web"], "priority": "critical"},
         {"name": "alice", "users": ["alice"], "priority": "critical"}]


class ByListenerAndUser(GuardTest):
    def setUp(self):
        self.redis = self.enterContext(RedisServer())
        self.spillway = Spillway(self.redis, guard={"mode": "protect", "rule": RULES},
                                 monitor={"ceiling": "8mb", "policy": "noeviction", "interval": "20ms"})
        self.web = ("127.0.0.1", free_port())
        self.spillway.config["listener"].append({"name": "web", "address": "%s:%d" % self.web})
        self.enterContext(self.spillway)
        self.redis.command("SETRANGE", "fill", 9 * MB, "x")
        until("no room", lambda: self.spillway.metric("spillway_backend_headroom_bytes") < 0)

    def test_a_rule_for_a_listener(self):
        self.assert_refused(self.wire().command("SET", "k", 1))
        with Wire(self.web) as wire:
            self.assertEqual(wire.command("SET", "k", 1), "OK")
        names = [row["name"] for row in self.spillway.api("status")["listeners"]]
        self.assertEqual(names, [f"127.0.0.1:{self.spillway.port}", "web"])

    def test_a_user_is_what_the_server_granted(self):
        self.redis.command("ACL", "SETUSER", "alice", "on", ">pw", "~*", "+@all")
        wire = self.wire()
        for attempt in (("AUTH", "alice", "wrong"), ("HELLO", 2, "AUTH", "alice", "wrong")):
            wire.command(*attempt)
            self.assert_refused(wire.command("SET", "k", 1))
        wire.command("HELLO", 2, "AUTH", "alice", "pw")
        self.assertEqual(wire.command("SET", "k", 1), "OK")

    def test_a_queued_auth_grants_nothing(self):
        self.redis.command("ACL", "SETUSER", "alice", "on", ">pw", "~*", "+@all")
        for attempt in (("AUTH", "alice", "wrong"), ("HELLO", 2, "AUTH", "alice", "wrong")):
            wire = self.wire()
            self.assertEqual(wire.command("MULTI"), "OK")
            self.assertEqual(wire.command(*attempt), "QUEUED")
            self.assertTrue(refusals([wire.command("SET", "k", 1)]), attempt)


if __name__ == "__main__":
    unittest.main()
