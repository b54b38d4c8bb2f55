# guard.retry_oom before a real server: a write that it refused is held, and sent again when there is room.
import signal
import socket
import struct
import time
import unittest

from harness import REDIS, OnValkey, RedisServer, Spillway, until
from test_guard import MB, GuardTest
from wire import Wire, encode

REFUSAL = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"
ALL_CRITICAL = {"rule": [{"name": "all", "priority": "critical"}]}  # at the ceiling the server decides


class Retry(GuardTest):
    binary = REDIS

    def full(self, hold_max="8s", **guard):
        """A server that refuses every write, and a guard that leaves all to it."""
        self.redis = self.enterContext(RedisServer(binary=self.binary, maxmemory="64mb",
                                                   maxmemory_policy="noeviction"))
        self.redis.command("SETRANGE", "ballast", 60 * MB, "x")
        self.redis.command("CONFIG", "SET", "maxmemory", 32 * MB)
        self.start(self.redis, guard={"retry_oom": True, "hold_max": hold_max, **ALL_CRITICAL, **guard},
                   monitor={"interval": "50ms"})
        self.spillway.wait_state("ceiling")

    def relieve(self):
        self.redis.command("CONFIG", "SET", "maxmemory", 128 * MB)

    def held(self, count=1):
        until("a held write", lambda: self.spillway.metric("spillway_held_commands") == count)

    def retries(self, result):
        return self.spillway.metric("spillway_oom_retries_total", result=result)

    def raw(self, *commands):
        client = self.enterContext(socket.create_connection(self.spillway.endpoint))
        client.settimeout(15)
        client.sendall(b"".join(encode(*command) for command in commands))
        return client

    def read(self, client, size):
        got = b""
        while len(got) < size and (more := client.recv(size - len(got))):
            got += more
        return got

    def test_with_relief_it_is_written_once(self):
        for value in (b"v", b"w" * 30_000):
            with self.subTest(size=len(value)):
                if not hasattr(self, "redis"):
                    self.full()
                self.redis.command("CONFIG", "SET", "maxmemory", 32 * MB)
                self.spillway.wait_state("ceiling")
                self.redis.command("DEL", "k")
                before = self.retries("answered")
                client = self.raw(("APPEND", "k", value))
                self.held()
                self.assertGreater(self.redis.oom_errors(), 0)
                until("a client that is held", lambda: any(
                    row["held"] and row["held_s"] > 0 for row in self.spillway.api("clients")["clients"]))
                self.relieve()
                answer = b":%d\r\n" % len(value)
                self.assertEqual(self.read(client, len(answer)), answer)
                self.assertEqual(self.redis.command("GET", "k"), value)
                self.assertEqual(self.retries("answered"), before + 1)
        self.assertEqual(self.redis.calls("append"), 2)
        self.assertEqual(self.spillway.metric("spillway_held_commands"), 0)

    def test_without_relief_the_genuine_refusal(self):
        self.full(hold_max="300ms")
        begin = time.monotonic()
        client = self.raw(("SET", "k", "v"))
        self.assertEqual(self.read(client, len(REFUSAL)), REFUSAL)
        self.assertGreaterEqual(time.monotonic() - begin, 0.3)
        self.assertEqual(self.retries("refused"), 1)
        self.assertEqual(self.redis.oom_errors(), 1, "a server without room is not asked again")
        record = self.spillway.record("oom", origin="backend")
        self.assertEqual((record["command"], record["suppressed"]), ("SET", 0))
        client.sendall(encode("GET", "k"))
        self.assertEqual(self.read(client, 5), b"$-1\r\n")

    def test_a_pipeline_behind_it_keeps_its_order(self):
        self.full()
        client = self.raw(("APPEND", "k", "a"))
        self.held()
        client.sendall(encode("APPEND", "k", "b") + encode("GET", "k"))
        client.sendall(encode("PING", "x" * 100_000)[:50_000])
        client.sendall(encode("PING", "x" * 100_000)[50_000:])
        with Wire(self.spillway.endpoint) as other:  # others read on, and are not held
            self.assertEqual(other.pipeline([("GET", "k"), ("PING",), ("DEL", "none")]), [None, "PONG", 0])
        self.relieve()
        expected = b":1\r\n:2\r\n$2\r\nab\r\n$100000\r\n" + b"x" * 100_000 + b"\r\n"
        self.assertEqual(self.read(client, len(expected)), expected)

    def test_a_command_held_behind_it_is_let_go_in_its_time(self):
        self.redis = self.enterContext(RedisServer(binary=self.binary, maxmemory="64mb",
                                                   maxmemory_policy="noeviction"))
        self.redis.command("SETRANGE", "ballast", 55 * MB, "x")
        self.redis.command("CONFIG", "SET", "maxmemory", 32 * MB)
        # By a ceiling that it is told, the guard has room, but no credit for a large write at once.
        rule = {"name": "appends", "commands": ["APPEND"], "priority": "critical"}
        self.start(self.redis, guard={"retry_oom": True, "hold_max": "2s", "rule": [rule]},
                   monitor={"interval": "50ms", "ceiling": "64mb"})
        self.spillway.wait_state("paced")
        client = self.raw(("APPEND", "k", "a"), ("SET", "large", "x" * 500_000), ("GET", "k"))
        self.held(2)  # both are
        self.relieve()
        expected = b":1\r\n+OK\r\n$1\r\na\r\n"
        self.assertEqual(self.read(client, len(expected)), expected)
        self.assertEqual(self.retries("answered"), 1)

    def test_many_clients_at_once(self):
        self.full()
        clients = [self.raw(("APPEND", f"k:{n}", "v" * 100)) for n in range(50)]
        self.held(50)
        self.relieve()
        for client in clients:
            self.assertEqual(self.read(client, 6), b":100\r\n")
        self.assertEqual(self.retries("answered"), 50)
        self.assertEqual({self.redis.command("STRLEN", f"k:{n}") for n in range(50)}, {100})

    def test_what_may_have_run_is_answered_at_once(self):
        self.full()
        wire = self.wire()
        refusal = REFUSAL[1:-2].decode()
        self.assertEqual(wire.command("MSET", "a", 1, "b", 2), refusal)
        self.assertIn("OOM", wire.command("EVAL", "return redis.call('SET', KEYS[1], 1)", 1, "k"))
        self.assertEqual([str(reply)[:9] for reply in wire.pipeline([("MULTI",), ("SET", "k", 1), ("EXEC",)])],
                         ["OK", refusal[:9], "EXECABORT"])
        self.assertEqual(wire.pipeline([("SET", "k", 1), ("GET", "k")]), [refusal, None])
        self.assertEqual(sum(map(self.retries, ("answered", "refused", "abandoned"))), 0)

    def test_a_silenced_write_has_no_refusal_to_wait_for(self):
        self.full()
        client = self.raw(("CLIENT", "REPLY", "SKIP"), ("SET", "k", "v"), ("PING",), ("CLIENT", "REPLY", "OFF"),
                          ("SET", "k", "v"), ("CLIENT", "REPLY", "ON"))
        self.assertEqual(self.read(client, 12), b"+PONG\r\n+OK\r\n")

    def test_a_client_that_leaves_writes_nothing(self):
        self.full()
        client = self.raw(("SET", "k", "v"))
        self.held()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        until("the write forgotten", lambda: self.retries("abandoned") == 1)
        self.relieve()
        self.spillway.wait_state("plenty")
        self.assertEqual(self.redis.command("EXISTS", "k"), 0)

    def test_a_client_that_has_no_more_to_say_gets_its_answer(self):
        self.full()
        client = self.raw(("APPEND", "k", "v"))
        self.held()
        client.shutdown(socket.SHUT_WR)
        self.relieve()
        self.assertEqual(self.read(client, 1000), b":1\r\n")  # and the end

    def test_a_backend_that_leaves(self):
        self.full()
        client = self.raw(("SET", "k", "v"))
        self.held()
        self.redis.kill()
        self.assertEqual(self.read(client, 1000), REFUSAL)
        self.assertEqual(self.spillway.metric("spillway_held_commands"), 0)

    def test_stopping_lets_it_finish(self):
        self.full()
        client = self.raw(("APPEND", "k", "v"))
        self.held()
        self.spillway.child.send_signal(signal.SIGTERM)
        self.relieve()
        self.assertEqual(self.read(client, 4), b":1\r\n")

    def test_off_by_default(self):
        self.full(retry_oom=False)
        self.assertEqual(self.read(self.raw(("SET", "k", "v")), len(REFUSAL)), REFUSAL)
        self.assertEqual(self.spillway.metric("spillway_hold_seconds_count"), 0)


class RetryOnValkey(OnValkey, Retry):
    pass


if __name__ == "__main__":
    unittest.main()
