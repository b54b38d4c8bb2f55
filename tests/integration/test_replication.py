# A real replica whose primary is behind Spillway: all data must arrive, stay in sync, and survive the link's loss.
import unittest

from harness import REDIS, OnValkey, RedisServer, Spillway, until
from wire import Wire

MB = 1 << 20
DEBUG = {"enable_debug_command": "yes", "repl_diskless_sync_delay": 0, "repl_ping_replica_period": 3600}


class Replica(unittest.TestCase):
    binary = REDIS

    def start(self, primary=None, replica=None, **sections):
        self.primary = self.enterContext(RedisServer(binary=self.binary, **(primary or {})))
        self.spillway = self.enterContext(Spillway(self.primary, **sections))
        self.primary.control.pipeline([("SET", f"before:{n}", "v" * 1000) for n in range(10_000)])
        self.replica = self.enterContext(RedisServer(binary=self.binary, **(replica or {})))
        self.replica.command("REPLICAOF", "127.0.0.1", self.spillway.port)
        self.in_sync()

    def in_sync(self):
        until("the link up", lambda: self.replica.info("replication")["master_link_status"] == "up", 60)
        until("the same offset", lambda: self.offset(self.replica) == self.offset(self.primary))
        self.assertEqual(self.digest(self.replica), self.digest(self.primary))

    def offset(self, server):
        return int(server.info("replication")["master_repl_offset"])

    def digest(self, server):
        return server.command("DEBUG", "DIGEST")

    def syncs(self):
        stats = self.primary.info("stats")
        return int(stats["sync_full"]), int(stats["sync_partial_ok"])

    def write(self, count=1000):
        """Writes of many kinds, through Spillway."""
        with Wire(self.spillway.endpoint) as wire:
            for first in range(0, count, 500):
                wire.pipeline([command for n in range(first, first + 500) for command in (
                    ("SET", f"k:{n}", "x" * (n % 3000)), ("INCR", "n"), ("LPUSH", "l", n), ("EXPIRE", f"before:{n}", 1000),
                    ("DEL", f"before:{n + 5000}"), ("MULTI",), ("HSET", "h", n, n), ("SADD", "s", n), ("EXEC",),
                    ("EVAL", "return redis.call('set', KEYS[1], '\r\n*3\r\n+x')", 1, f"script:{n}"))])
            wire.command("SET", "large", b"\r\n$5" * MB)
            self.assertEqual(wire.command("WAIT", 1, 10_000), 1, "the replica's acknowledgement came back")

    def test_everything_arrives_and_stays_in_sync(self):
        self.start(DEBUG, DEBUG)
        for _ in range(3):
            self.write()
            self.in_sync()
        self.primary.command("FLUSHALL")
        self.in_sync()
        self.assertEqual(self.replica.command("DBSIZE"), 0)
        self.assertEqual(self.syncs()[0], 1)
        self.assertEqual(self.primary.info("replication")["connected_slaves"], "1")

    def test_a_snapshot_straight_to_the_socket(self):
        self.start({**DEBUG, "repl_diskless_sync": "yes", "repl_diskless_sync_delay": 0},
                   {**DEBUG, "repl_diskless_load": "swapdb"})
        self.write()
        self.in_sync()

    def test_a_lost_link_goes_on_where_it_was(self):
        self.start({**DEBUG, "repl_backlog_size": "64mb"}, DEBUG)
        self.assertEqual(self.syncs(), (1, 0))
        for lost in range(1, 4):
            self.assertEqual(self.primary.command("CLIENT", "KILL", "TYPE", "replica"), 1)
            self.write()
            self.in_sync()
            self.assertEqual(self.syncs(), (1, lost))

    def test_with_a_password_and_a_user_for_it(self):
        self.start({**DEBUG, "password": "sesame"}, {**DEBUG, "masterauth": "sesame"})
        self.primary.command("ACL", "SETUSER", "copy", "on", ">pw", "+psync", "+replconf", "+ping")
        for setting in (("masteruser", "copy"), ("masterauth", "pw")):
            self.replica.command("CONFIG", "SET", *setting)
        self.primary.command("CLIENT", "KILL", "TYPE", "replica")
        self.primary.command("SET", "k", "v")
        self.in_sync()

    def test_the_stream_is_never_refused_or_held(self):
        """The replica's own connection, and what it is sent, when the guard refuses every write."""
        self.start(DEBUG, DEBUG, guard={"mode": "protect"}, monitor={"ceiling": "8mb", "policy": "noeviction", "interval": "20ms"})
        until("no room", lambda: self.spillway.metric("spillway_backend_headroom_bytes") < 0)
        with Wire(self.spillway.endpoint) as wire:
            self.assertRegex(wire.command("SET", "refused", "v"), "^OOM spillway refused")
        self.primary.control.pipeline([("SET", f"more:{n}", "v" * 1000) for n in range(10_000)])
        self.in_sync()
        self.primary.command("CLIENT", "KILL", "TYPE", "replica")
        self.primary.command("SET", "k", "v")
        self.in_sync()

    def test_a_replica_of_a_replica(self):
        self.start(DEBUG, DEBUG)
        front = self.enterContext(Spillway(self.replica))
        last = self.enterContext(RedisServer(binary=self.binary, **DEBUG))
        last.command("REPLICAOF", "127.0.0.1", front.port)
        self.write()
        self.in_sync()
        until("the last in sync", lambda: self.offset(last) == self.offset(self.primary), 30)
        self.assertEqual(self.digest(last), self.digest(self.primary))


class ValkeyReplica(OnValkey, Replica):
    def test_a_snapshot_on_a_connection_of_its_own(self):
        dual = {**DEBUG, "dual_channel_replication_enabled": "yes", "repl_diskless_sync": "yes"}
        self.start(dual, dual)
        self.assertRegex(self.primary.output("out"), "(?i)rdb.channel")
        self.write()
        self.in_sync()


if __name__ == "__main__":
    unittest.main()
