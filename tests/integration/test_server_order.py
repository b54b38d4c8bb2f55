# What a client learns on one connection holds on the next, and a change of the server's limit holds at once.
import unittest

from harness import RedisServer, Spillway, until
from wire import ErrorReply, Wire, encode

ROUNDS = 300
OOM = "OOM command not allowed when used memory > 'maxmemory'."


class SeveralConnections(unittest.TestCase):
    def setUp(self):
        self.redis = self.enterContext(RedisServer())
        self.spillway = self.enterContext(Spillway(self.redis, workers=4))

    def wire(self):
        wire = Wire(self.spillway.endpoint)
        self.addCleanup(wire.socket.close)
        self.assertEqual(wire.command("PING"), "PONG")
        return wire

    def test_what_was_sent_first_arrives_first(self):
        wires = [self.wire() for _ in range(4)]
        for n in range(ROUNDS):
            first, second = wires[n % 4], wires[(n + 1) % 4]
            first.send(encode("APPEND", f"order:{n}", "a"))
            second.send(encode("APPEND", f"order:{n}", "b"))
            self.assertEqual((first.reply(), second.reply()), (1, 2), f"round {n}")


class ChangedLimits(unittest.TestCase):
    def setUp(self):
        self.redis = self.enterContext(RedisServer(maxmemory="64mb"))
        self.spillway = self.enterContext(Spillway(self.redis))
        self.wire = self.enterContext(Wire(self.spillway.endpoint))
        self.other = self.enterContext(Wire(self.spillway.endpoint))
        self.redis.fill(0.975)
        until("a sample of it", lambda: self.spillway.metric("spillway_backend_headroom_bytes") < 2 << 20)
        self.written = 0

    def refusal(self):
        """Writes what is new until that is refused, by the guard or, where it is past the limit at once, by the server."""
        for _ in range(2000):
            self.written += 1
            if isinstance(reply := self.wire.command("SET", f"k:{self.written}", "v" * 10_000), ErrorReply):
                return str(reply)
        self.fail("nothing was ever refused")

    def test_a_raised_limit_holds_from_its_reply_on(self):
        self.assertIn("OOM spillway refused", self.refusal())
        for limit in ("1gb", "64mb") * 3:
            self.assertEqual(self.other.command("CONFIG", "SET", "maxmemory", limit), "OK")
            if limit == "1gb":
                self.assertEqual(self.wire.command("SET", "k", "v" * 10_000), "OK")
            else:
                self.assertIn("OOM", self.refusal())

    def test_a_flushed_server_takes_writes_at_once(self):
        self.assertIn("OOM spillway refused", self.refusal())
        self.assertEqual(self.other.command("FLUSHALL"), "OK")
        self.assertEqual(self.wire.command("SET", "k", "v" * 10_000), "OK")

    def test_a_limit_under_an_empty_server_is_the_servers_own_affair(self):
        for _ in range(3):
            self.assertEqual(self.other.command("CONFIG", "SET", "maxmemory", "1"), "OK")
            until("a sample with that limit", lambda: self.spillway.metric("spillway_backend_ceiling_bytes") == 1)
            self.assertEqual(self.wire.command("SET", "k", "v"), OOM)
            self.assertEqual(self.other.command("CONFIG", "SET", "maxmemory", "0"), "OK")
            self.assertEqual(self.wire.command("SET", "k", "v"), "OK")


if __name__ == "__main__":
    unittest.main()
