# Every reason for which the guard stands aside, on a real server: it refuses, then something happens and all passes,
# then it is over and the guard refuses again.
import contextlib
import re
import signal
import socket
import threading
import unittest

from harness import REDIS, OnValkey, RedisServer, Spillway, until
from test_guard import MB, GuardTest, refusals
from wire import ErrorReply, Wire, encode

WRITE = ("SET", "k", "v" * 100)
# A reached ceiling of its own, so that Redis itself has room for whatever the guard lets through.
MONITOR = {"ceiling": "8mb", "policy": "noeviction", "interval": "20ms"}
GUARD = {"stale_after": "300ms", "write_max": "1kb"}


class Liar:
    """Stands before a server and rewrites the text of INFO; everything else passes."""

    def __init__(self, server):
        self.server, self.lie = server, lambda text: text
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "redis://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                backend = socket.create_connection(self.server.endpoint)
                for copy in ((client, backend, lambda data: (data, b"")), (backend, client, self.rewrite)):
                    threading.Thread(target=self.copy, args=copy, daemon=True).start()

    def copy(self, source, target, rewrite):
        rest = b""
        with source, contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                out, rest = rewrite(rest + data)
                target.sendall(out)
            target.shutdown(socket.SHUT_RDWR)

    def rewrite(self, data):
        """(what to send on, what to wait with)"""
        head = re.match(rb"\$(\d+)\r\n", data)
        if not head:
            return data, b""
        end = head.end() + int(head[1])
        if len(data) < end + 2:
            return b"", data
        text = data[head.end():end]
        if b"used_memory:" not in text:
            return data, b""
        text = self.lie(text)
        return (text if text.startswith((b"-", b":")) else b"$%d\r\n%s\r\n" % (len(text), text)) + data[end + 2:], b""


class Standing(GuardTest):
    binary = REDIS

    def guarded(self, backend=None, guard=None, monitor=None, **settings):
        """A guard that refuses every normal write."""
        self.redis = self.enterContext(RedisServer(binary=self.binary, **settings))
        self.redis.command("SETRANGE", "fill", 9 * MB, "x")
        self.spillway = self.enterContext(Spillway(backend or self.redis, guard={**GUARD, **(guard or {})},
                                                   monitor={**MONITOR, **(monitor or {})}))
        self.spillway.wait_state("ceiling")
        self.assert_refused(self.wire().command(*WRITE), cause="near-ceiling")

    def assert_stands_aside(self, reason, answer="OK"):
        """Blind, with the reason in record and status; everything passes, even what write_max would refuse."""
        self.spillway.wait_state("blind")
        record = until(f"a record of {reason}", lambda: [
            row for row in self.spillway.records("guard_state", to="blind") if re.search(reason, row["reason"])])[0]
        self.assertEqual(record["level"], "warn")
        guard = self.spillway.api("status")["guard"]
        self.assertEqual(guard["state"], "blind")
        self.assertRegex(guard["reason"], reason)
        before = self.verdicts("refused")
        replies = self.wire().pipeline([WRITE, ("SET", "large", "x" * 5000), ("GET", "none")])
        self.assertFalse(refusals(replies), replies)
        for reply in replies[:2]:
            self.assertRegex(str(reply), answer)
        self.assertEqual(self.verdicts("refused"), before)

    def assert_guards_again(self):
        self.spillway.wait_state("ceiling")
        self.assert_refused(self.wire().command(*WRITE))
        self.assertFalse(isinstance(self.wire().command("GET", "k"), ErrorReply))


class Aside(Standing):
    def test_a_stopped_server(self):
        self.guarded()
        waiting = self.wire()
        self.redis.child.send_signal(signal.SIGSTOP)
        try:
            self.spillway.wait_state("blind")
            self.assertTrue(self.spillway.record("guard_state", to="blind")["reason"])
            newcomer = self.wire()
            for wire in (waiting, newcomer):
                wire.send(encode(*WRITE) + encode("GET", "none"))
        finally:
            self.redis.child.send_signal(signal.SIGCONT)
        for wire in (waiting, newcomer):
            self.assertEqual([wire.reply(), wire.reply()], ["OK", None])
        self.assert_guards_again()

    def test_no_sample_yet(self):
        self.redis = self.enterContext(RedisServer(binary=self.binary))
        self.redis.command("SETRANGE", "fill", 9 * MB, "x")
        self.redis.child.send_signal(signal.SIGSTOP)
        try:
            self.spillway = self.enterContext(Spillway(self.redis, ready=False, guard=GUARD, monitor=MONITOR))
            self.spillway.wait_state("blind")
            self.assertEqual(self.spillway.api("status")["guard"]["reason"], "no sample yet")
            wire = self.wire()
            wire.send(encode(*WRITE))
            until("a verdict on it", lambda: self.spillway.metric("spillway_commands_total") == 1)
        finally:
            self.redis.child.send_signal(signal.SIGCONT)
        self.assertEqual(wire.reply(), "OK")
        self.assert_guards_again()

    def test_info_refused_by_an_acl(self):
        redis = self.enterContext(RedisServer(binary=self.binary))
        password = redis.directory / "password"
        password.write_text("pw\n")
        redis.command("ACL", "SETUSER", "monitor", "on", ">pw", "+@all")
        for lost in ("-info", "off"):  # a right, and all of them
            with self.subTest(lost), contextlib.ExitStack() as stack:
                self.redis = redis
                redis.command("SETRANGE", "fill", 9 * MB, "x")
                redis.command("ACL", "SETUSER", "monitor", "on", "+info")
                self.spillway = stack.enter_context(Spillway(
                    redis, guard=GUARD, monitor={**MONITOR, "user": "monitor", "password_file": str(password)}))
                self.assert_guards_again()
                redis.command("ACL", "SETUSER", "monitor", lost)
                if lost == "off":
                    redis.command("CLIENT", "KILL", "USER", "monitor")
                self.assert_stands_aside("NOPERM|WRONGPASS|permission|INFO|password")
                redis.command("ACL", "SETUSER", "monitor", "on", "+info")
                self.assert_guards_again()

    def test_maxmemory_zero(self):
        self.guarded(monitor={"ceiling": "auto", "policy": "auto"}, maxmemory="8mb", maxmemory_policy="noeviction")
        self.redis.command("CONFIG", "SET", "maxmemory", 0)
        self.assert_stands_aside("no maxmemory")
        self.redis.command("CONFIG", "SET", "maxmemory", 8 * MB)
        self.assert_guards_again()

    def test_a_primary_that_becomes_a_replica(self):
        self.guarded()
        self.redis.command("REPLICAOF", "127.0.0.1", "1")
        self.assert_stands_aside("replica", answer="READONLY")
        self.redis.command("REPLICAOF", "NO", "ONE")
        self.assert_guards_again()

    def test_a_restart(self):
        self.guarded()
        self.redis.kill()
        self.spillway.wait_state("blind")
        reason = self.spillway.api("status")["guard"]["reason"]
        self.assertTrue(reason)
        self.redis.start()  # empty: what was known of the old server must not be held against it
        self.spillway.wait_state("plenty")
        self.assertEqual(self.wire().command(*WRITE), "OK")
        self.redis.command("SETRANGE", "fill", 9 * MB, "x")
        self.assert_guards_again()

    def test_loading(self):
        self.guarded(enable_debug_command="yes", loading_process_events_interval_bytes=1024, key_load_delay=0)
        self.redis.control.pipeline([("SET", f"key:{n}", "v") for n in range(2000)])
        self.redis.command("CONFIG", "SET", "key-load-delay", 1000)
        with Wire(self.redis.endpoint, timeout=60) as loader:
            loader.send(encode("DEBUG", "RELOAD"))
            self.assert_stands_aside("loading", answer="LOADING")
            self.assertEqual(loader.reply(), "OK")
        self.assert_guards_again()

    def test_off_is_no_standing_aside(self):
        self.guarded()
        for mode, state in (("off", "off"), ("protect", "ceiling")):
            self.spillway.request("POST", "/api/v1/mode", '{"mode": "%s"}' % mode, {"Content-Type": "application/json"})
            self.spillway.wait_state(state)
        self.assert_guards_again()


def field(name, value):
    """A lie about one field of INFO."""
    return lambda text: re.sub(rb"(?m)^%s:[^\r]*" % name, b"%s:%s" % (name, value), text)


def without(*names):
    return lambda text: re.sub(rb"(?m)^(%s):[^\r]*\r\n" % b"|".join(names), b"", text)


class Lies(Standing):
    """Numbers that cannot be; the clients talk to the server through the same liar."""

    MEMORY, CEILING = "memory use|plausible|INFO", "maxmemory|plausible"
    LIES = (  # what, and the reason that is told
        (field(b"used_memory", b"-5"), MEMORY),
        (field(b"used_memory", b"0"), MEMORY),
        (field(b"used_memory", b"99999999999999999999999"), MEMORY),
        (field(b"used_memory", b"9223372036854775807"), MEMORY),
        (field(b"used_memory", b"plenty"), MEMORY),
        (field(b"used_memory", b""), MEMORY),
        (field(b"mem_not_counted_for_evict", b"9223372036854775807"), MEMORY),
        (without(b"used_memory"), MEMORY),
        (lambda text: b"", MEMORY),
        (lambda text: b"used_memory", MEMORY),
        (lambda text: bytes(range(256)) * 20, MEMORY),
        (lambda text: b"-ERR nobody is told\r\n", "nobody is told"),
        (lambda text: b":7\r\n", MEMORY),
    )
    CEILING_LIES = (
        (field(b"maxmemory", b"-1"), CEILING),
        (field(b"maxmemory", b"0"), "no maxmemory"),
        (field(b"maxmemory", b"banana"), CEILING),
        (field(b"maxmemory", b"99999999999999999999"), CEILING),
        (without(b"maxmemory"), CEILING),
    )

    def lie(self, lies, truth=lambda text: text, **options):
        self.redis = self.enterContext(RedisServer(binary=self.binary))
        self.redis.command("SETRANGE", "fill", 9 * MB, "x")
        with Liar(self.redis) as liar:
            liar.lie = truth
            self.spillway = self.enterContext(Spillway(liar, guard=GUARD, **options))
            self.assert_guards_again()
            for number, (lie, reason) in enumerate(lies):
                with self.subTest(number=number, reason=reason):
                    liar.lie = lambda text, lie=lie: lie(truth(text))
                    self.assert_stands_aside(reason)
                    liar.lie = truth
                    self.assert_guards_again()

    def test_of_memory(self):
        self.lie(self.LIES, monitor=MONITOR)

    def test_of_the_ceiling(self):
        # The server has no limit that could get in the way: only INFO says that there is so little room.
        self.lie(self.CEILING_LIES, truth=field(b"maxmemory", b"%d" % (8 * MB)), monitor={"interval": "20ms"})

    def test_small_lies_are_believed_and_harm_nobody(self):
        self.redis = self.enterContext(RedisServer(binary=self.binary, maxmemory="64mb"))
        with Liar(self.redis) as liar:
            self.spillway = self.enterContext(Spillway(liar, guard=GUARD, monitor={"interval": "20ms"}))
            self.spillway.wait_state("plenty")
            for lie in (field(b"evicted_keys", b"-7"), field(b"db0", b"keys=-1,expires=99999999999999999999"),
                        field(b"maxmemory_policy", b"whatever"), without(b"mem_not_counted_for_evict"),
                        field(b"lazyfree_pending_objects", b"x")):
                liar.lie, asked = lie, self.redis.calls("info")
                until("new samples", lambda: self.redis.calls("info") > asked + 10)
                self.assertEqual(self.wire().command(*WRITE), "OK")
                self.assertEqual(self.verdicts("refused"), 0)
            liar.lie = lambda text: text
            self.spillway.wait_state("plenty")


class AsideOnValkey(OnValkey, Aside):
    pass


if __name__ == "__main__":
    unittest.main()
