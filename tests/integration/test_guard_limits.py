# Limits on single writes, rules, and the states in which the guard must stand aside.
import json
import random
import signal
import time
import unittest

from harness import RedisServer, until
from test_guard import MB, GuardTest, refusals
from wire import ErrorReply, encode

OOM = "OOM command not allowed when used memory > 'maxmemory'."


class LargeWrites(GuardTest):
    def test_beyond_the_headroom_is_refused_at_its_header(self):
        self.start()
        self.redis.fill(0.5)
        self.spillway.wait_state("plenty")
        wire, other, before = self.wire(), self.wire(), self.redis.used_memory()
        wire.send(b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n" % (40 * MB) + b"x" * MB)
        for n in range(50):  # meanwhile others write as if nothing had happened
            self.assertEqual(other.command("SET", f"small:{n}", "v"), "OK")
            self.assertLess(self.redis.used_memory() - before, 3 * MB)
        for _ in range(39):
            wire.send(b"x" * MB)
        wire.send(b"\r\n" + encode("GET", "big"))
        self.assert_refused(wire.reply(), cause="oversized-write")
        self.assertIsNone(wire.reply())
        self.assertLess(int(self.redis.info("memory")["used_memory_peak"]), 40 * MB)
        self.assertEqual(wire.command("SET", "fits", "x" * 5 * MB), "OK")

    def test_write_max(self):
        self.start(guard={"write_max": "1mb"})
        self.spillway.wait_state("plenty")
        wire = self.wire()
        self.assertEqual(wire.command("SET", "k", "x" * (MB // 2)), "OK")
        self.assert_refused(wire.command("SET", "k", "x" * 2 * MB), cause="write-max")
        self.assert_refused(wire.command("MSET", "a", "x", "b", "x" * 2 * MB), cause="write-max")
        self.assertEqual(wire.command("EXISTS", "a"), 0)

    def test_evict_max(self):
        self.start(RedisServer(maxmemory="64mb", maxmemory_policy="allkeys-lru"))
        self.redis.fill(1.0)
        until("a full server", lambda: self.spillway.metric("spillway_backend_counted_memory_bytes") > 60 * MB)
        keys = self.redis.command("DBSIZE")
        wire = self.wire()
        self.assert_refused(wire.command("SET", "big", "x" * 45 * MB), cause="evict-max", policy="allkeys-lru")
        self.assertGreater(self.redis.command("DBSIZE"), keys * 0.9)
        self.assertEqual(wire.command("SET", "k", "x" * MB), "OK")


class StringWrites(GuardTest):
    """SETBIT and SETRANGE name an offset, which says nothing of what they add to a string that is there."""

    def learned_ratio(self):
        return self.spillway.api("status")["guard"]["learned_ratio"]

    def test_bitmaps_near_the_ceiling_are_neither_held_nor_refused(self):
        self.start()
        self.spillway.wait_state("plenty")
        wire, bits = self.wire(), 4 * MB * 8
        names = [f"bits:{n}" for n in range(6)]
        for name in names:
            self.assertEqual(wire.command("SETBIT", name, bits - 1, 1), 0)
            self.assertEqual(wire.command("SETRANGE", f"text:{name}", 9_999, "x"), 10_000)
        place = random.Random(1)

        def write(rounds):
            for _ in range(rounds):
                replies = wire.pipeline([
                    command for name in names for command in (
                        ("SETBIT", name, place.randrange(bits), 1),
                        ("SETRANGE", f"text:{name}", place.randrange(9_000), "text"),
                        ("BITFIELD", name, "SET", "u8", f"#{place.randrange(bits // 8)}", 7))])
                self.assertFalse([reply for reply in replies if isinstance(reply, ErrorReply)])

        until("the load to be known for one that adds", lambda: write(1) or self.learned_ratio() > 0.3)
        until("the load to be known for one that adds nothing", lambda: write(50) or self.learned_ratio() < 0.02)
        self.redis.command("CONFIG", "SET", "maxmemory", int(self.redis.used_memory() / 0.98))
        self.spillway.wait_state("reserve")
        write(300)
        self.assertLessEqual(self.verdicts("held"), 10)
        self.assertEqual(self.redis.oom_errors(), 0)
        # What is new is charged as ever.
        self.assert_refused(wire.command("SETBIT", "new", bits - 1, 1), cause="oversized-write")

    def test_a_string_that_others_removed_is_charged_whole_again(self):
        self.start()
        self.spillway.wait_state("plenty")
        wire, bits = self.wire(), 10 * MB * 8
        self.assertEqual(wire.command("SETBIT", "bits", bits - 1, 1), 0)
        self.redis.fill(0.9)
        self.spillway.wait_state("paced", "reserve")
        self.assertEqual(wire.command("SETBIT", "bits", bits - 1, 1), 1)
        self.redis.command("DEL", "bits")
        until("a sample without it", lambda: self.spillway.metric("spillway_backend_headroom_bytes") > 12 * MB)
        seen = time.monotonic()  # those who serve clients are told every 20 ms
        until("them to be told, too", lambda: time.monotonic() > seen + 0.2)
        self.redis.command("SETRANGE", "others", 10 * MB, "x")
        until("a sample with others", lambda: self.spillway.metric("spillway_backend_headroom_bytes") < 8 * MB)
        self.assert_refused(wire.command("SETBIT", "bits", bits - 1, 1), cause="oversized-write")
        self.assertEqual(self.redis.command("EXISTS", "bits"), 0)


class Rules(GuardTest):
    RULES = [
        {"name": "drain", "commands": ["LMOVE", "XADD"], "priority": "critical"},
        {"name": "queues", "keys": ["queue:*"], "priority": "critical"},
        {"name": "workers", "clients": ["worker-*"], "commands": ["@growing"], "priority": "critical"},
        {"name": "both", "keys": ["cache:*"], "commands": ["SET"], "priority": "sheddable"},
        {"name": "user", "users": ["alice"], "priority": "critical"},
    ]
    NORMAL, CRITICAL, SHEDDABLE = "normal", None, "sheddable"
    TABLE = (
        (None, ("SET", "k", 1), NORMAL), (None, ("LMOVE", "a", "b", "LEFT", "LEFT"), CRITICAL),
        (None, ("xadd", "s", "*", "f", "v"), CRITICAL), (None, ("SET", "queue:1", 1), CRITICAL),
        (None, ("LPUSH", "queue:jobs", 1), CRITICAL), (None, ("MSET", "other", 1, "queue:x", 2), CRITICAL),
        (None, ("SET", "xqueue:1", 1), NORMAL), (None, ("MSET", "queue", 1, "other", "queue:1"), NORMAL),
        ("worker-7", ("SET", "k", 1), CRITICAL), ("worker", ("SET", "k", 1), NORMAL),
        ("producer", ("SET", "k", 1), NORMAL), (None, ("SET", "cache:1", 1), SHEDDABLE),
        (None, ("APPEND", "cache:1", 1), NORMAL), ("worker-7", ("SET", "cache:1", 1), CRITICAL),
    )

    def test_critical_passes_where_normal_is_refused(self):
        self.at_the_ceiling(guard={"rule": self.RULES})
        for name, command, priority in self.TABLE:
            with self.subTest(name=name, command=command):
                reply = self.wire(name).command(*command)
                if priority is None:
                    self.assertFalse(refusals([reply]), reply)
                else:
                    self.assert_refused(reply, priority=priority)

    def test_a_rule_for_a_user(self):
        self.at_the_ceiling(guard={"rule": self.RULES})
        self.redis.command("ACL", "SETUSER", "alice", "on", ">pw", "~*", "+@all")
        wire = self.wire()
        self.assert_refused(wire.command("SET", "k", 1))
        self.assertEqual([wire.command("AUTH", "alice", "pw"), wire.command("SET", "k", 1)], ["OK", "OK"])
        self.assertEqual(wire.command("RESET"), "RESET")
        self.assert_refused(wire.command("SET", "k", 1))
        self.assertIn("WRONGPASS", wire.command("AUTH", "alice", "wrong"))
        self.assert_refused(wire.command("SET", "k", 1))
        wire.send(encode("HELLO", 3, "AUTH", "alice", "pw"))
        wire.reply()
        self.assertEqual(wire.command("SET", "k", 1), "OK")

    def test_critical_at_the_real_ceiling_is_for_redis_to_decide(self):
        self.start(guard={"rule": self.RULES})
        self.redis.fill(1.05)
        self.redis.command("CONFIG", "SET", "maxmemory", self.redis.used_memory() - MB)
        self.spillway.wait_state("ceiling")
        self.assert_refused(self.wire().command("SET", "k", "v" * 1000))
        self.assertEqual(self.wire("worker-1").command("SET", "k", "v" * 1000), OOM)

    def test_the_reserve_is_for_critical_writers_while_memory_grows(self):
        self.start(guard={"rule": self.RULES, "horizon": "0s"})
        self.redis.fill(0.93)
        self.spillway.wait_state("paced", "reserve")  # a sample that knows of it
        producer, worker = self.wire("producer"), self.wire("worker-1")
        for start in range(0, 20_000, 50):
            replies = producer.pipeline([("SET", f"new:{n}", "v" * 1000) for n in range(start, start + 50)])
            if refused := refusals(replies):
                break
        self.assert_refused(refused[0])
        self.assertEqual(self.redis.oom_errors(), 0)
        self.assertEqual(set(worker.pipeline([("SET", f"done:{n}", "v" * 100) for n in range(50)])), {"OK"})


class Blind(GuardTest):
    def fill_and_write(self):
        """Replies to writes into a full Redis: its own, when the guard stands aside."""
        self.redis.fill(1.05)
        wire = self.wire()
        return {str(reply) for reply in wire.pipeline([("SET", f"k:{n}", "v" * 5000) for n in range(500)])}

    def test_info_denied_to_the_monitor_user(self):
        self.redis = self.enterContext(RedisServer(maxmemory="16mb", maxmemory_policy="noeviction"))
        password = self.redis.directory / "password"
        password.write_text("pw\n")
        rights = ("ACL", "SETUSER", "monitor", "on", ">pw", "+@all")
        self.redis.command(*rights, "-info")
        self.start(self.redis, guard={"stale_after": "300ms"},
                   monitor={"user": "monitor", "password_file": str(password), "interval": "20ms"})
        self.spillway.wait_state("blind")
        self.assertIn(OOM, self.fill_and_write())
        self.assertEqual(self.verdicts("refused"), 0)
        self.redis.command(*rights, "+info")
        self.spillway.wait_state("ceiling", "reserve")
        self.redis.command(*rights, "-info")
        self.spillway.wait_state("blind")
        until("its record", lambda: self.spillway.records("guard_state")[-1]["to"] == "blind")
        self.assertTrue(self.spillway.records("guard_state")[-1]["reason"])
        replies = self.wire().pipeline([("SET", f"k:{n}", "v" * 5000) for n in range(100)])
        self.assertFalse(refusals(replies))

    def test_a_wrong_password_of_the_monitor_is_told_as_such(self):
        self.redis = self.enterContext(RedisServer(maxmemory="16mb", maxmemory_policy="noeviction"))
        self.redis.command("ACL", "SETUSER", "monitor", "on", ">pw", "+@all")
        password = self.redis.directory / "password"
        password.write_text("wrong\n")
        self.start(self.redis, monitor={"user": "monitor", "password_file": str(password)})
        self.assertEqual(self.wire().command("SET", "k", "v"), "OK")
        self.assertEqual(self.spillway.records("backend_down"), [])
        for text in (self.spillway.get("/readyz")[1], self.spillway.api("status")["guard"]["reason"],
                     self.spillway.record("guard_state")["reason"]):
            self.assertIn("AUTH of the monitor connection failed: WRONGPASS", text)
        diagnosis = self.spillway.api("diagnosis")
        self.assertEqual((diagnosis["state"], diagnosis["cause"], diagnosis["confidence"]), ("at-risk", "unknown", 0))
        self.assertIn("WRONGPASS", " ".join(diagnosis["evidence"]))
        self.assertIn("password_file", " ".join(diagnosis["advice"]))
        self.assertNotIn("+info", json.dumps(diagnosis))
        password.write_text("pw\n")
        self.spillway.request("POST", "/api/v1/reload")
        self.spillway.wait_state("plenty")
        self.assertNotIn("WRONGPASS", self.spillway.get("/readyz")[1])
        self.assertEqual(self.spillway.api("diagnosis")["state"], "healthy")

    def test_without_a_password_it_is_told_that_it_lacks_one(self):
        self.redis = self.enterContext(RedisServer(password="secret"))
        self.redis.url = f"redis://127.0.0.1:{self.redis.port}"
        self.start(self.redis)
        self.assertIn("NOAUTH", self.spillway.get("/readyz")[1])
        diagnosis = self.spillway.api("diagnosis")
        self.assertEqual(diagnosis["state"], "at-risk")
        self.assertIn("NOAUTH", " ".join(diagnosis["evidence"]))
        self.assertIn("password_file", " ".join(diagnosis["advice"]))

    def test_a_server_that_does_not_answer(self):
        self.start(guard={"stale_after": "300ms"}, monitor={"interval": "20ms"})
        self.spillway.wait_state("plenty")
        self.redis.child.send_signal(signal.SIGSTOP)
        try:
            self.spillway.wait_state("blind")
            wire = self.wire()
            wire.send(encode("SET", "k", "v"))
        finally:
            self.redis.child.send_signal(signal.SIGCONT)
        self.assertEqual(wire.reply(), "OK")
        self.spillway.wait_state("plenty")

    def test_no_maxmemory_then_one(self):
        self.start(RedisServer(), guard={"write_max": "1kb"}, monitor={"interval": "20ms"})
        self.spillway.wait_state("blind")
        wire = self.wire()
        self.assertEqual(wire.command("SET", "k", "x" * 5000), "OK", "even write_max rests")
        self.redis.command("CONFIG", "SET", "maxmemory", "64mb")
        self.spillway.wait_state("plenty")
        self.assert_refused(wire.command("SET", "k", "x" * 5000), cause="write-max")
        self.redis.command("CONFIG", "SET", "maxmemory", "0")
        self.spillway.wait_state("blind")

    def test_a_replica(self):
        self.start(monitor={"interval": "20ms"})
        self.spillway.wait_state("plenty")
        self.redis.command("REPLICAOF", "127.0.0.1", "1")
        self.spillway.wait_state("blind")
        self.redis.command("REPLICAOF", "NO", "ONE")
        self.spillway.wait_state("plenty")

    def test_another_server_behind_the_same_address(self):
        self.start(monitor={"interval": "20ms"})
        self.redis.fill(0.99)
        self.spillway.wait_state("reserve")
        self.redis.kill()
        self.redis.settings["maxmemory"] = "256mb"
        self.redis.start()
        self.spillway.wait_state("plenty")
        self.assertEqual(self.spillway.metric("spillway_backend_ceiling_bytes"), 256 * MB)
        self.assertEqual(self.wire().command("SET", "k", "v" * MB), "OK")


if __name__ == "__main__":
    unittest.main()
