# Each OOM reply of Redis, in each of its forms, is passed on unchanged and explained in a record.
import unittest

from harness import RedisServer, Spillway, until
from wire import ErrorReply, Wire, encode

MB = 1 << 20
TEXT = "OOM command not allowed when used memory > 'maxmemory'."
CAUSES = ("noeviction-at-ceiling no-evictable-keys few-evictable-keys eviction-too-slow oversized-write big-key "
          "client-buffers replication-buffers lazyfree-pending script-memory non-data-overhead ceiling-lowered "
          "script-refused provider-limit replica-promoted cluster-skew write-burst unknown").split()
FIELDS = {
    "": "ts level event msg origin incident command bytes key db client memory keyspace cause confidence evidence "
        "also advice top_growth suppressed",
    "client": "addr name user lib",
    "memory": "used counted ceiling headroom evictable policy sample_age_ms growth_bytes_per_s time_to_ceiling_s",
    "keyspace": "keys with_ttl",
}


class OomTest(unittest.TestCase):
    mode = "off"

    def start(self, maxmemory="16mb", policy="noeviction", **sections):
        self.redis = self.enterContext(RedisServer(maxmemory=maxmemory, maxmemory_policy=policy))
        guard = {"mode": self.mode, **sections.pop("guard", {})}
        self.spillway = self.enterContext(Spillway(self.redis, guard=guard, **sections))

    def wire(self):
        return self.enterContext(Wire(self.spillway.endpoint))

    def write_until_oom(self, wire, size=1000, pattern="cart:{}"):
        """Writes new values through Spillway until Redis refuses; gives its reply."""
        for start in range(0, 100_000, 50):
            keys = range(start, start + 50)
            for reply in wire.pipeline([("SET", pattern.format(key), "v" * size) for key in keys]):
                if reply != "OK":
                    return reply
        raise AssertionError("Redis never refused")

    def assert_complete(self, record):
        for path, names in FIELDS.items():
            part = record[path] if path else record
            for name in names.split():
                self.assertIn(name, part, f"{path} of {record}")
        self.assertEqual((record["event"], record["origin"], record["level"]), ("oom", "backend", "warn"))
        self.assertIn(record["cause"], CAUSES)
        self.assertTrue(0 < record["confidence"] <= 1)
        for name in ("evidence", "advice"):
            self.assertTrue(record[name] and all(isinstance(line, str) and line for line in record[name]), name)
        for row in record["top_growth"]:
            self.assertLessEqual({"pattern", "client", "command", "bytes", "without_ttl"}, set(row))
        memory = record["memory"]
        self.assertEqual(memory["headroom"], memory["ceiling"] - memory["counted"] + memory["evictable"])
        self.assertLess(memory["sample_age_ms"], 1000)


class Forms(OomTest):
    """Every shape in which a refusal for memory reaches a client."""
    hello = ()

    SET = "redis.call('set', KEYS[1], 'x')"
    # name: what is said while there is room, what is said when there is none, its reply, the record's command
    CASES = {
        "top level": ((), ("SET", "cart:1", "x"), TEXT, "SET"),
        "several keys": ((), ("MSET", "cart:1", "x", "cart:2", "y"), TEXT, "MSET"),
        "at exec": ((("MULTI",), ("SET", "cart:1", "x")), ("EXEC",),
                    "EXECABORT Transaction discarded because of: " + TEXT, "EXEC"),
        "queued in multi": ((("MULTI",),), ("SET", "cart:1", "x"), TEXT, "SET"),
        "inside exec": ((("MULTI",), ("EVAL", "return " + SET, 1, "cart:1"), ("DEL", "none")), ("EXEC",), None, None),
        "script": ((), ("EVAL", "return " + SET, 1, "cart:1"), None, "EVAL"),
        "script with a shebang": ((), ("EVAL", "#!lua\nreturn 1", 1, "cart:1"), TEXT, "EVAL"),
        "pcall": ((), ("EVAL", "return redis.pcall('set', KEYS[1], 'x')", 1, "cart:1"), TEXT, "EVAL"),
        "pcall in a table": ((), ("EVAL", "return {1, {redis.pcall('set', KEYS[1], 'x')}}", 1, "cart:1"), None, "EVAL"),
    }

    def setUp(self):
        self.start(maxmemory="32mb")
        self.redis.fill(0.5)

    def check(self, name):
        before, last, wanted, command = self.CASES[name]
        wire = self.wire()
        wire.pipeline([*self.hello, ("CLIENT", "SETNAME", "checkout"), ("SELECT", 2)])
        self.assertEqual(len(wire.pipeline(list(before))), len(before))
        self.redis.command("CONFIG", "SET", "maxmemory", "8mb")
        reply = wire.command(*last)
        if wanted:
            self.assertEqual(reply, wanted)
        else:
            self.assertIn("OOM command not allowed", str(reply))
        record = self.spillway.record("oom")
        self.assert_complete(record)
        if command:
            self.assertEqual(record["command"], command)
        if last[0] in ("SET", "MSET"):
            self.assertEqual(record["key"], "cart:*")
            self.assertTrue(sum(map(len, last)) <= record["bytes"] <= len(encode(*last)), record["bytes"])
        self.assertEqual((record["client"]["name"], record["client"]["user"], record["db"]), ("checkout", "default", 2))
        self.assertEqual(record["client"]["addr"], "%s:%d" % wire.socket.getsockname())
        self.assertEqual(record["memory"]["policy"], "noeviction")
        self.assertEqual(record["memory"]["ceiling"], 8 * MB)
        until("counted", lambda: self.spillway.metric("spillway_oom_replies_total", origin="backend") == 1)


class FormsObserved(Forms):
    """Again in observe mode, and in RESP3."""
    mode, hello = "observe", (("HELLO", 3),)


for case in Forms.CASES:
    setattr(Forms, "test_" + case.replace(" ", "_"), lambda self, case=case: self.check(case))


class NotOom(OomTest):
    """What only looks like one."""

    def test_data_and_other_errors_are_no_records(self):
        self.start()
        wire = self.wire()
        wire.pipeline([("SET", "text", "-" + TEXT + "\r\n"), ("GET", "text"), ("ECHO", "-OOM x\r\n"),
                       ("LPUSH", "l", "-OOM"),
                       ("LRANGE", "l", 0, -1), ("nosuch", "OOM"), ("EVAL", "return '-OOM '", 0), ("GET", "l"),
                       ("EVAL", "return {'OOM x', 1}", 0), ("SUBSCRIBE", "-OOM x"), ("UNSUBSCRIBE",)])
        self.write_until_oom(self.wire())
        self.assertEqual(self.spillway.record("oom")["command"], "SET")
        # The cause is found on the control thread, so the count follows the replies by some milliseconds.
        until("all counted", lambda: self.spillway.metric("spillway_oom_replies_total", origin="backend")
              == self.redis.oom_errors())


class Causes(OomTest):
    def cause(self):
        """The cause of the one incident, after what is said of it within its first two seconds."""
        self.assert_complete(self.spillway.record("oom"))
        return self.spillway.api("incidents")["incidents"][0]

    def test_noeviction_at_the_ceiling(self):
        self.start()
        wire = self.wire()
        wire.command("CLIENT", "SETNAME", "checkout")
        self.assertEqual(self.write_until_oom(wire), TEXT)
        record = self.spillway.record("oom")
        self.assert_complete(record)
        self.assertEqual((record["cause"], record["key"]), ("noeviction-at-ceiling", "cart:*"))
        top = record["top_growth"][0]
        self.assertEqual((top["pattern"], top["client"], top["command"], top["without_ttl"]),
                         ("cart:*", "checkout", "SET", 1.0))
        self.assertTrue(10 * MB < top["bytes"] < 20 * MB, top)
        self.assertGreater(record["memory"]["counted"], 15 * MB)
        self.assertGreater(record["keyspace"]["keys"], 5000)
        self.assertEqual(record["keyspace"]["with_ttl"], 0)

    def test_no_evictable_keys(self):
        self.start(policy="volatile-lru")
        self.assertEqual(self.write_until_oom(self.wire()), TEXT)
        self.assertEqual(self.spillway.record("oom")["cause"], "no-evictable-keys")

    def test_few_evictable_keys(self):
        self.start(policy="volatile-lru")
        self.redis.control.pipeline([("SET", f"ttl:{n}", "x" * 1000, "EX", 1000) for n in range(1500)])
        until("a sample that knows them", lambda: self.spillway.metric("spillway_backend_evictable_bytes") > 0)
        self.assertEqual(self.write_until_oom(self.wire()), TEXT)
        self.assertEqual(self.spillway.record("oom")["cause"], "few-evictable-keys")

    def test_oversized_write(self):
        self.start(maxmemory="64mb")
        self.redis.fill(0.5)
        self.assertEqual(self.wire().command("SET", "big:1", "x" * 40 * MB), TEXT)
        record = self.spillway.record("oom")
        self.assertEqual((record["cause"], record["key"]), ("oversized-write", "big:*"))
        self.assertGreater(record["bytes"], 40 * MB)

    def test_client_buffers(self):
        self.start(maxmemory="64mb")
        self.redis.command("SETRANGE", "big", MB - 1, "x")
        slow = self.enterContext(Wire(self.redis.endpoint))  # past Spillway, which would take the replies
        slow.send(encode("GET", "big") * 80)
        until("its replies in Redis", lambda: self.redis.used_memory() > 70 * MB)
        wire = self.wire()
        self.assertEqual(wire.command("SET", "k", "v"), TEXT)
        self.assert_complete(self.spillway.record("oom"))
        # INFO's figures of clients lag by up to a second; an update may revise the first cause.
        until("the right cause", lambda: "client-buffers" in [
            row["cause"] for row in self.spillway.records("oom") + self.spillway.records("incident_updated")], 4)

    def test_ceiling_lowered(self):
        self.start(maxmemory="64mb", monitor={"interval": "20ms"})
        self.redis.fill(0.5)
        until("a sample", lambda: self.spillway.metric("spillway_backend_counted_memory_bytes") > 30 * MB)
        self.redis.command("CONFIG", "SET", "maxmemory", "16mb")
        self.assertEqual(self.wire().command("SET", "k", "v"), TEXT)
        self.assertEqual(self.spillway.record("oom")["cause"], "ceiling-lowered")


class Incidents(OomTest):
    def fill_then_storm(self, storm, batch):
        """Refusals without flapping; gives how many there were."""
        self.start(monitor={"interval": "50ms"})
        wire = self.wire()
        wire.command("CLIENT", "SETNAME", "checkout")
        self.write_until_oom(wire)
        self.redis.command("CONFIG", "SET", "maxmemory", "8mb")
        for start in range(0, storm, batch):
            keys = range(start, start + batch)
            self.assertEqual(set(wire.pipeline([("SET", f"cart:{key}", "v" * 50) for key in keys])), {TEXT})
        total = self.redis.oom_errors()
        self.assertGreater(total, storm)
        until("all counted", lambda: self.spillway.metric("spillway_oom_replies_total", origin="backend") == total)
        return total

    def test_a_storm_is_summarised_and_its_story_told(self):
        total = self.fill_then_storm(10_000, batch=500)
        incident = self.spillway.record("incident_opened")["incident"]
        listed = self.spillway.api("incidents")["incidents"]
        self.assertEqual([(row["id"], row["closed"]) for row in listed], [(incident, None)])
        self.assertEqual(self.spillway.api("incidents/" + incident)["oom_replies"], total)

        closed = self.spillway.record("incident_closed", seconds=20)
        lines = self.spillway.records("oom")
        self.assertLess(len(lines), 10)
        self.assertEqual({row["incident"] for row in lines + [closed]}, {incident})
        self.assertLessEqual(len(lines) + sum(row["suppressed"] for row in lines), total)
        row = self.spillway.api("incidents/" + incident)
        for story in (row, closed):
            self.assertEqual((story["oom_replies"], story["refusals"]), (total, 0))
            self.assertTrue(0 <= story["duration_s"] < 25, story["duration_s"])
            for field, name in (("by_command", "SET"), ("by_client", "checkout"), ("by_pattern", "cart:*")):
                self.assertEqual([(part["name"], part["oom_replies"]) for part in story[field]], [(name, total)], field)
            self.assertTrue(story["curve"] and all(len(point) == 3 for point in story["curve"]))
            self.assertIn(story["cause"], CAUSES)
        self.assertTrue(row["closed"])

    def test_a_storm_in_one_deep_pipeline(self):
        """Deeper than what is remembered of each command: names may be missing, but nothing is lost."""
        total = self.fill_then_storm(10_000, batch=10_000)
        row = self.spillway.api("incidents")["incidents"][0]
        self.assertEqual(row["oom_replies"], total)
        for field in ("by_command", "by_client", "by_pattern"):
            self.assertEqual(sum(part["oom_replies"] for part in row[field]), total, field)
        self.assertLess(len(self.spillway.records("oom")), 10)

    def test_no_incident_before_the_first_refusal(self):
        self.start()
        self.assertEqual(self.spillway.api("incidents"), {"incidents": []})
        self.assertEqual(self.spillway.get("/api/v1/incidents/nosuch")[0], 404)


class Annotated(OomTest):
    def test_annotation(self):
        self.start(diagnosis={"annotate_replies": True})
        wire = self.wire()
        self.write_until_oom(wire)
        self.spillway.record("oom")
        self.redis.command("CONFIG", "SET", "maxmemory", "8mb")
        reply = wire.command("SET", "k", "v")
        self.assertRegex(reply, "^" + TEXT.replace(".", r"\.") + r" \[spillway cause=[a-z-]+ policy=noeviction\]$")
        self.assertLess(len(reply), 510)
        self.assertEqual(wire.pipeline([("MULTI",), ("SET", "k", "v"), ("EXEC",)])[2],
                         "EXECABORT Transaction discarded because of previous errors.")
        pipeline = wire.pipeline([("GET", "none"), ("SET", "k", "v"), ("ECHO", "x")] * 100)
        self.assertEqual(pipeline, [None, reply, b"x"] * 100)
        inner = wire.command("EVAL", "return {redis.pcall('set', 'k', 'v')}", 0)
        self.assertEqual(inner, [ErrorReply(TEXT)], "never inside arrays")

    def test_nothing_is_added_by_default(self):
        self.start()
        self.assertEqual(self.write_until_oom(self.wire()), TEXT)


if __name__ == "__main__":
    unittest.main()
