# Bytes in bulk, ends of every kind, and peers that misbehave: what a relay must survive in bounded memory.
import contextlib
import hashlib
import resource
import select
import unittest

from harness import MEMORY_FACTOR, SANITIZED, RedisServer, Spillway, free_port, more_files, until
from wire import Wire, encode

MB = 1 << 20
# Of a value that streams through; a sanitizer keeps what was freed.
FLOWING_MB = 32 if SANITIZED else 4


def readable(wire, seconds):
    return bool(select.select([wire.socket], [], [], seconds)[0])


class RelayTest(unittest.TestCase):
    def start(self, redis=None, **sections):
        self.redis = self.enterContext(redis or RedisServer(enable_debug_command="yes"))
        self.spillway = self.enterContext(Spillway(self.redis, **sections))

    def wire(self):
        return self.enterContext(Wire(self.spillway.endpoint))

    def assert_memory(self, bound_mb, before_kb=0, what="resident"):
        """Spillway's highest resident size so far, less what it was before, is below the bound."""
        grown = self.spillway.memory_kb("VmHWM") - before_kb
        self.assertLess(grown, bound_mb * MEMORY_FACTOR << 10, f"KB {what}; bounds are multiplied by {MEMORY_FACTOR}")

    def clients_gone(self, own):
        until("the backend connections gone",
              lambda: {row["id"] for row in self.redis.clients()} <= own)


class Volume(RelayTest):
    def test_a_million_commands_before_the_first_reply_is_read(self):
        self.start()
        count, step = 1_000_000, 10_000
        wire = self.wire()
        for _ in range(count // step):
            wire.send(encode("INCR", "n") * step)
        for first in range(1, count, step):
            wanted = b"".join(b":%d\r\n" % n for n in range(first, first + step))
            self.assertEqual(wire.take_exactly(len(wanted)), wanted)
        self.assertEqual(wire.command("GET", "n"), b"%d" % count)

    def test_a_value_of_300_mb_needs_no_300_mb(self):
        self.start()
        size, chunk = 300 * MB, bytes(range(256)) * 4096
        digest, wire = hashlib.sha1(), self.wire()
        wire.command("PING")
        before = self.spillway.memory_kb()
        wire.send(b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n" % size)
        for _ in range(size // len(chunk)):
            digest.update(chunk)
            wire.send(chunk)
        wire.send(b"\r\n")
        self.assertEqual(wire.reply(), "OK")
        self.assert_memory(FLOWING_MB, before, "while the value went up")
        self.assertEqual(self.redis.command("STRLEN", "big"), size)

        wire.send(encode("GET", "big"))
        self.assertEqual(wire.take_line(), b"$%d" % size)
        back, left = hashlib.sha1(), size
        while left:
            if not wire.buffer:
                self.assertTrue(wire.fill())
            piece = wire.take(left)
            back.update(piece)
            left -= len(piece)
        self.assertEqual(wire.take_exactly(2), b"\r\n")
        self.assertEqual(back.digest(), digest.digest())
        self.assert_memory(FLOWING_MB, before, "with the value down, which moves at the client's pace")

    def test_500_clients(self):
        more_files(3000)
        self.start()
        files = self.spillway.open_files()
        wires = [self.wire() for _ in range(500)]
        for i, wire in enumerate(wires):
            wire.send(encode("SET", f"k{i}", i) + encode("GET", f"k{i}"))
        for i, wire in enumerate(wires):
            self.assertEqual([wire.reply(), wire.reply()], ["OK", b"%d" % i])
        self.assertEqual(len([row for row in self.redis.clients() if row["cmd"] == "get"]), 500)
        self.assertEqual(self.spillway.metric("spillway_clients"), 500)
        for wire in wires:
            wire.socket.close()
        until("no client left", lambda: self.spillway.metric("spillway_clients") == 0)
        until("no backend connection left", lambda: len(self.redis.clients()) < 5)
        until("every descriptor given back", lambda: self.spillway.open_files() <= files)

    def test_connections_in_quick_succession(self):
        self.start()
        for i in range(1000):
            with Wire(self.spillway.endpoint) as wire:
                self.assertEqual(wire.command("ECHO", i), b"%d" % i)
        until("no backend connection left", lambda: len(self.redis.clients()) < 5)

    def test_more_clients_than_allowed(self):
        self.start(listener={"max_clients": 5})
        kept = [self.wire() for _ in range(5)]
        for wire in kept:
            self.assertEqual(wire.command("PING"), "PONG")
        self.assertRegex(self.wire().read_to_end(), rb"^(-ERR [^\r\n]+\r\n)?$")
        self.assertEqual(self.spillway.metric("spillway_client_connections_refused_total"), 1)
        kept.pop().socket.close()
        until("room for another", lambda: self.wire().command("PING") == "PONG")
        self.assertEqual(kept[0].command("PING"), "PONG")

    def test_a_limit_that_max_clients_does_not_fit_in_is_told(self):
        self.start(listener={"max_clients": 100_000})
        limit, = (row["limit"] for row in self.spillway.records("note", level="warn") if "max_clients allows" in row["msg"])
        self.assertEqual(limit, resource.prlimit(self.spillway.child.pid, resource.RLIMIT_NOFILE)[0])
        self.assertEqual(limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1], "as many as may be")

    def limit_descriptors(self, more):
        """Leaves so many; gives how many there are then."""
        seen = []
        until("as many descriptors for a while",
              lambda: seen.append(self.spillway.open_files()) or seen[-10:] == seen[-1:] * 10)
        most = seen[-1] + more
        hard = resource.prlimit(self.spillway.child.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(self.spillway.child.pid, resource.RLIMIT_NOFILE, (most, hard))
        return most

    def test_no_descriptor_left_for_the_backend(self):
        self.start(workers=1)
        most = self.limit_descriptors(1)
        with Wire(self.spillway.endpoint) as wire:
            self.assertEqual(wire.read_to_end(), b"-ERR spillway: backend unavailable (Too many open files)\r\n")
        resource.prlimit(self.spillway.child.pid, resource.RLIMIT_NOFILE, (most + 100,) * 2)
        self.assertEqual(self.spillway.metric("spillway_client_connections_refused_total", reason="descriptors"), 1)
        until("what the log says of it", lambda: [
            row for row in self.spillway.records("note") if "no file descriptor is left" in row["msg"]])

    def test_no_descriptors_left(self):
        self.start(workers=1)
        most = self.limit_descriptors(20)  # two for each client
        with contextlib.ExitStack() as stack:
            wires = [stack.enter_context(Wire(self.spillway.endpoint)) for _ in range(30)]
            for wire in wires[:10]:
                self.assertEqual(wire.command("PING"), "PONG")
            self.assertEqual(self.spillway.open_files(), most)
            before = self.spillway.cpu_seconds()
            self.assertFalse(readable(wires[-1], 1), "it waits for its turn")
            self.assertLess(self.spillway.cpu_seconds() - before, 0.2, "of one second")
            for wire in wires[:-1]:
                wire.socket.close()
            self.assertEqual(wires[-1].command("PING"), "PONG")
        refused = self.spillway.metric("spillway_client_connections_refused_total", reason="descriptors")
        self.assertTrue(0 < refused < 8, f"{refused}: clients, not how often they were looked at")
        note, = self.spillway.records("note", limit=most)
        self.assertIn("raise LimitNOFILE", note["msg"])
        self.assertEqual(self.wire().command("PING"), "PONG")


class Ends(RelayTest):
    def test_half_close_still_gets_every_reply(self):
        self.start()
        wire = self.wire()
        wire.send(encode("SETRANGE", "big", 2 * MB, "x") + encode("GET", "big") + encode("ECHO", "last"))
        wire.finish()
        self.assertTrue(wire.read_to_end().endswith(b"\r\n$4\r\nlast\r\n"))

    def test_reset_mid_command(self):
        self.start()
        other, own = self.wire(), {row["id"] for row in self.redis.clients()}
        other.command("PING")
        own = {row["id"] for row in self.redis.clients()}
        for cut in (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$8\r\nabc", b"*3\r\n$3\r\nSE", b"*1", encode("BLPOP", "k", 0),
                    encode("MULTI") + encode("SET", "k", "v"), encode("SUBSCRIBE", "a"), encode("MONITOR")):
            with self.subTest(cut):
                wire = self.wire()
                self.assertEqual(wire.command("PING"), "PONG")
                wire.send(cut)
                wire.reset()
                self.clients_gone(own)
                self.assertEqual(other.command("EXISTS", "k"), 0)

    def test_reset_while_replies_are_under_way(self):
        self.start()
        other = self.wire()
        other.command("SETRANGE", "big", 8 * MB, "x")
        own = {row["id"] for row in self.redis.clients()}
        for _ in range(5):
            wire = self.wire()
            wire.send(encode("GET", "big") * 10)
            wire.take_exactly(100)
            wire.reset()
        self.clients_gone(own)
        self.assertEqual(other.command("PING"), "PONG")

    def test_backend_killed_mid_reply(self):
        self.start()
        wire, idle = self.wire(), self.wire()
        idle.command("SETRANGE", "big", 300 * MB, "x")
        wire.send(encode("GET", "big"))
        got = len(wire.take_exactly(MB))
        self.redis.kill()
        while wire.fill():
            got += len(wire.take(len(wire.buffer)))
        self.assertLess(got, 300 * MB, "a reply that ends where Redis ended")
        self.assertEqual(idle.read_to_end(), b"", "no reply that Redis did not give")
        self.assertTrue(self.spillway.running())
        until("not ready", lambda: self.spillway.get("/readyz")[0] == 503)
        self.assertEqual(self.spillway.get("/livez")[0], 200)

    def test_waiting_costs_no_processor_time(self):
        self.start(guard={"mode": "observe", "spool_client": "1mb"})
        wires = {what: self.wire() for what in ("idle", "blocked", "half-closed", "cut", "slow")}
        self.redis.command("SETRANGE", "big", MB - 1, "x")
        for what in ("blocked", "half-closed"):
            wires[what].send(encode("BLPOP", "queue", 0) + encode("PING"))
        wires["half-closed"].finish()
        wires["cut"].send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$8\r\nabc")
        wires["slow"].send(encode("GET", "big") * 30)
        until("all under way", lambda: self.redis.calls("get") == 30)
        before = self.spillway.cpu_seconds()
        self.redis.command("DEBUG", "SLEEP", 1)
        self.assertLess(self.spillway.cpu_seconds() - before, 0.15, "of one second")

    def test_backend_stops_between_commands(self):
        self.start()
        wire = self.wire()
        self.assertEqual(wire.command("PING"), "PONG")
        self.redis.kill()
        self.assertEqual(wire.read_to_end(), b"")

    def closed(self, reason):
        return self.spillway.metric("spillway_sessions_closed_total", reason=reason)

    def test_what_ended_a_session_is_told(self):
        self.start()
        def leave(wire):
            wire.command("PING")
        def quit_(wire):
            wire.send(b"QUIT\r\n")
            self.assertEqual(wire.reply(), "OK")
            self.assertFalse(wire.fill())
        def killed(wire):
            self.redis.command("CLIENT", "KILL", "ID", wire.command("CLIENT", "ID"))
            self.assertFalse(wire.fill())
        def garbage(wire):
            wire.send(b"*x\r\n")
            while wire.fill():
                pass
        for reason, end in (("client_closed", leave), ("quit", quit_), ("backend_closed", killed),
                            ("backend_closed", garbage)):
            before = self.closed(reason)
            with Wire(self.spillway.endpoint) as wire:
                end(wire)
            until(reason, lambda: self.closed(reason) == before + 1)


class NoBackend(RelayTest):
    def test_error_then_recovery(self):
        port = free_port()
        spillway = self.enterContext(Spillway(f"redis://127.0.0.1:{port}", ready=False,
                                              monitor={"interval": "20ms"}))
        until("alive", lambda: spillway.get("/livez")[0] == 200)
        self.assertEqual(spillway.get("/readyz")[0], 503)
        for request in (b"PING\r\n", encode("SET", "k", "v" * 100000)):
            with Wire(spillway.endpoint) as wire:
                wire.send(request)
                self.assertRegex(wire.read_to_end(), rb"^-ERR spillway: backend unavailable[ -~]*\r\n$")
        redis = self.enterContext(RedisServer(port=port))
        until("ready", lambda: spillway.get("/readyz")[0] == 200)
        with Wire(spillway.endpoint) as wire:
            self.assertEqual(wire.command("SET", "k", "v"), "OK")
        self.assertEqual(redis.command("GET", "k"), b"v")
        redis.kill()
        until("not ready", lambda: spillway.get("/readyz")[0] == 503)
        self.assertTrue(spillway.record("backend_up"))
        self.assertTrue(spillway.record("backend_down"))
        redis.start()
        until("ready again", lambda: spillway.get("/readyz")[0] == 200)
        with Wire(spillway.endpoint) as wire:
            self.assertEqual(wire.command("PING"), "PONG")

    def test_backend_whose_unix_socket_is_missing(self):
        spillway = self.enterContext(Spillway("unix:///nonexistent/redis.sock", ready=False))
        until("alive", lambda: spillway.get("/livez")[0] == 200)
        with Wire(spillway.endpoint) as wire:
            wire.send(b"PING\r\n")
            self.assertRegex(wire.read_to_end(), rb"^-ERR spillway: backend unavailable")


class UnixSockets(RelayTest):
    def test_both_sides(self):
        redis = self.enterContext(RedisServer())
        path = str(redis.directory / "spillway.sock")
        self.spillway = self.enterContext(Spillway("unix://" + redis.unix_path,
                                                   listener={"address": "unix:" + path}))
        wire = self.wire()
        value = bytes(range(256)) * 20000
        self.assertEqual(wire.pipeline([("SET", "k", value), ("GET", "k")]), ["OK", value])
        self.assertTrue(all(row["addr"].startswith(redis.unix_path) for row in redis.clients()))
        wire.finish()
        self.assertEqual(wire.read_to_end(), b"")


class SlowReader(RelayTest):
    """A client that never reads: its replies must fill neither Redis nor Spillway."""

    def feed(self, wire, replies):
        """Asks for `replies` values of 1 MB, each alone, and reads none; gives Redis' peak memory."""
        peak = 0
        for n in range(1, replies + 1):
            wire.send(encode("GET", "big"))
            until("the GET executed", lambda: self.redis.calls("get") >= n or not self.is_open(wire), 5)
            peak = max(peak, self.redis.used_memory())
        return peak

    def is_open(self, wire):
        return self.spillway.metric("spillway_clients") > 0

    def prepare(self, mode):
        self.start(guard={"mode": mode, "spool_client": "16mb", "spool_total": "32mb"})
        self.redis.command("SETRANGE", "big", MB - 1, "x")
        self.before = self.redis.used_memory()
        wire = self.wire()
        self.assertEqual(wire.command("PING"), "PONG")
        return wire

    def test_replies_go_to_the_spool_not_into_redis(self):
        wire = self.prepare("observe")
        peak = self.feed(wire, 14)
        self.assertLess(peak - self.before, 4 * MB)
        until("the replies in the spool", lambda: self.spillway.metric("spillway_spool_bytes") > 5 * MB)
        for _ in range(14):
            self.assertEqual(len(wire.reply()), MB)
        until("the spool empty", lambda: self.spillway.metric("spillway_spool_bytes") == 0)

    def test_protect_cuts_the_client_whose_spool_is_full(self):
        wire = self.prepare("protect")
        peak = self.feed(wire, 40)
        self.assertLess(peak - self.before, 8 * MB)
        until("the client cut", lambda: not self.is_open(wire))
        self.assertEqual(self.spillway.metric("spillway_spool_overflows_total"), 1)
        self.assert_memory(100)
        until("its memory back", lambda: self.redis.used_memory() < self.before + MB)

    def test_observe_pushes_back_instead(self):
        wire = self.prepare("observe")
        wire.send(encode("GET", "big") * 60)
        until("all executed", lambda: self.redis.calls("get") >= 60)
        until("a full spool", lambda: self.spillway.metric("spillway_spool_bytes") > 12 * MB)
        self.assert_memory(100)
        for _ in range(60):
            self.assertEqual(len(wire.reply()), MB)
        self.assertEqual(wire.command("PING"), "PONG")

    def test_many_slow_readers_share_one_bound(self):
        first = self.prepare("observe")
        wires = [first] + [self.wire() for _ in range(7)]
        for wire in wires:
            wire.send(encode("GET", "big") * 20)
        until("all executed", lambda: self.redis.calls("get") >= 160)
        self.assert_memory(120)
        for wire in wires:
            for _ in range(20):
                self.assertEqual(len(wire.reply()), MB)


if __name__ == "__main__":
    unittest.main()
