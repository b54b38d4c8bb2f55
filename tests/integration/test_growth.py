# Who fills memory, as /api/v1/growth and the records tell it, held against what a real server grew by.
import itertools
import random
import unittest

from harness import REDIS, RedisServer, Spillway, is_newer, until
from wire import Wire

MB = 1 << 20


class GrowthTest(unittest.TestCase):
    def setUp(self):
        self.redis = self.enterContext(RedisServer(maxmemory="200mb", maxmemory_policy="noeviction"))
        self.spillway = self.enterContext(Spillway(
            self.redis, guard={"mode": "observe"}, monitor={"interval": "50ms"}))
        self.random = random.Random(5)
        self.writers = {}

    def wire(self, name):
        if name not in self.writers:
            wire = self.writers[name] = self.enterContext(Wire(self.spillway.endpoint))
            self.assertEqual(wire.command("CLIENT", "SETNAME", name), "OK")
        return self.writers[name]

    def send(self, name, commands, batch=100):
        commands = iter(commands)
        while some := list(itertools.islice(commands, batch)):
            self.wire(name).pipeline(some)

    def rows(self):
        return self.spillway.api("growth")["top"]

    def told(self):
        """Bytes by pattern, once the last that was written is among them: shards tell theirs once a second."""
        self.send("last", [("SET", f"last:{n}", "v" * 20_000) for n in range(100)])

        def all_told():
            told = {}
            for row in self.rows():
                told[row["pattern"]] = told.get(row["pattern"], 0) + row["bytes"]
            return "last:*" in told and told
        return until("the last that was written", all_told)


class Figures(GrowthTest):
    def test_they_are_what_the_server_grew_by(self):
        value = "v" * 1000
        kinds = {
            "string:*": [("SET", f"string:{n}", value) for n in range(20_000)],
            "list": [("LPUSH", "list", value[:400]) for _ in range(30_000)],
            "hash": [("HSET", "hash", f"u{n}", value[:200]) for n in range(30_000)],
            "set": [("SADD", "set", f"m{n}-{'x' * 15}") for n in range(100_000)],
            "zset": [("ZADD", "zset", n, f"player-{n}") for n in range(50_000)],
            "stream": [("XADD", "stream", "*", "url", value[:300]) for n in range(30_000)],
        }
        real = {}
        for pattern, commands in kinds.items():
            before = self.redis.used_memory()
            self.send("writer", commands)
            real[pattern] = self.redis.used_memory() - before
        told = self.told()
        for pattern, bytes_grown in real.items():
            # A set's member takes a quarter less since Redis 7.4: it is charged, and told, as before.
            delta = .45 if pattern == "set" and is_newer(REDIS) else .2
            self.assertAlmostEqual(told.get(pattern, 0) / bytes_grown, 1, delta=delta, msg=f"{pattern} {told} {real}")
        self.assertLessEqual(sum(told.values()), 1.1 * (sum(real.values()) + 2 * MB))

    def test_regular_traffic_is_told_as_it_is(self):
        self.send("worker", (("SADD", "reply", f"m{n}") if n % 7 == 0 else ("SET", f"task:{n}", "v" * 350)
                             for n in range(40_000)), batch=50)
        told = self.told()
        self.assertGreater(told["task:*"], 12 * MB)
        self.assertLess(told.get("reply", 0), 2 * MB)


class Culprit(GrowthTest):
    def leak(self, busy, rounds):
        """A hundred commands of others to each twenty keys that stay."""
        numbers = itertools.count()
        for _ in range(rounds):
            self.send("shop", busy())
            self.send("thumbs", [("SET", f"thumb:{next(numbers)}:png", "v" * 1000) for _ in range(20)])

    def assert_thumbs_are_told(self, rounds):
        told = self.told()
        rows = self.rows()
        leaked = rounds * 20 * 1100
        self.assertEqual(max(told, key=told.get), "thumb:*:png", rows)
        self.assertAlmostEqual(told["thumb:*:png"] / leaked, 1, delta=.25)
        self.assertEqual({row["client"] for row in rows if row["pattern"].startswith("thumb")}, {"thumbs"})
        return told

    def test_it_is_not_who_overwrites(self):
        self.leak(lambda: [("SET", f"stock:{self.random.randrange(2000)}", "v" * 1000) for _ in range(100)], 1000)
        told = self.assert_thumbs_are_told(1000)
        self.assertLess(told.get("stock:*", 0), 8 * MB, "of 100 that were written")

    def test_it_is_not_a_queue_that_is_consumed(self):
        self.leak(lambda: [("LPUSH", "jobs", "v" * 1000)] * 50 + [("RPOP", "jobs")] * 50, 1000)
        told = self.assert_thumbs_are_told(1000)
        self.assertLess(told.get("jobs", 0), MB, "of 50 that went through it")

    def test_it_is_not_who_deletes_what_he_wrote(self):
        numbers = itertools.count()

        def jobs():
            keys = [f"job:{next(numbers)}" for _ in range(50)]
            return [("SET", key, "v" * 400) for key in keys] + [("DEL", key) for key in keys]
        self.leak(jobs, 1000)
        told = self.assert_thumbs_are_told(1000)
        self.assertLess(told.get("job:*", 0), 6 * MB, "of 25 that were written")


if __name__ == "__main__":
    unittest.main()
