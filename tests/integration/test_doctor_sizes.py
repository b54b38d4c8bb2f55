# What spillway doctor makes of large collections, and of a server whose last room its look would take.
import json
import random
import unittest

from harness import until
from test_doctor import DoctorTest, doctor


class Sizes(DoctorTest):
    """MEMORY USAGE with a few samples is off by half and more where elements are uneven."""

    def examine(self, others, key, commands, delta=0.05):
        """`delta` is four standard errors or more: which fields MEMORY USAGE sees is new in each run."""
        self.server(maxmemory="48mb")
        link = self.redis.control
        link.pipeline([("SET", f"other:{n}", "x" * 500) for n in range(others)])
        while not any("OOM" in str(reply) for reply in link.pipeline([next(commands) for _ in range(200)])):
            pass
        code, out, _ = doctor(self.redis.url, "--json")
        told = json.loads(out)
        real = self.redis.command("MEMORY", "USAGE", key, "SAMPLES", 0)
        rest = self.redis.command("MEMORY", "USAGE", "other:1") * others
        biggest = told["sampled"]["biggest"][0]
        self.assertEqual((code, told["cause"], biggest["key"]), (4, "big-key", key), told["evidence"])
        self.assertAlmostEqual(biggest["bytes"] / real, 1, delta=delta)
        beyond = biggest["bytes_high"] - biggest["bytes"] + real * 0.01  # what is told is two of them
        self.assertLessEqual(biggest["bytes_low"] - beyond, real)
        self.assertGreaterEqual(biggest["bytes_high"] + beyond, real)
        self.assertAlmostEqual((told["sampled"]["bytes"] - biggest["bytes"]) / rest, 1, delta=0.1)
        data = int(self.redis.info("memory")["used_memory_dataset"])
        self.assertAlmostEqual(told["sampled"]["bytes"] / data, 1, delta=delta)
        self.assertRegex(" ".join(told["evidence"]), r"the other [0-9,]+ keys together take about [4-9][.0-9]* MiB")
        return told

    def test_a_list_whose_head_is_half_empty(self):
        self.examine(8000, "q", (("LPUSH", "q", "x" * 900) for _ in range(10 ** 6)))

    def test_a_list_of_uneven_elements(self):
        dice = random.Random(3)
        self.examine(8000, "q", (("RPUSH", "q", "x" * dice.choice((50, 50, 50, 8000))) for _ in range(10 ** 6)))

    def test_a_hash_of_uneven_fields(self):
        for seed in range(3):
            dice = random.Random(seed)
            with self.subTest(seed):
                self.examine(8000, "h", (("HSET", "h", f"{seed}:{n}", "x" * (5000 if dice.random() < .05 else 40))
                                         for n in range(10 ** 6)), delta=0.2)

    def test_a_hash_whose_first_fields_are_small(self):
        dice = random.Random(1)
        told = self.examine(12_000, "h", (("HSET", "h", f"1:{n}", "x" * (40_000 if dice.random() < .04 else 40))
                                          for n in range(10 ** 6)), delta=0.2)
        self.assertLess(told["sampled"]["unexplained_bytes"], told["sampled"]["bytes"] / 5)

    def test_no_command_takes_long(self):
        self.server()
        self.redis.control.pipeline([("HSET", "h", n, "x" * (n % 7 * 50)) for n in range(200_000)])
        self.redis.command("CONFIG", "RESETSTAT")
        doctor(self.redis.url)
        stats = self.redis.info("latencystats")["latency_percentiles_usec_memory|usage"]
        self.assertLess(float(stats.split("p99.9=")[1]), 10_000, "a look at every field takes some 30 ms here")


class NearlyFull(DoctorTest):
    """Redis 7.0 keeps a histogram of latencies for each command that it meets: doctor's would fill the last room."""

    def fill_but(self, room):
        self.server(maxmemory="64mb")
        link, n = self.redis.control, 0
        while True:
            free = (64 << 20) - self.redis.counted()
            if free <= room + 3000:
                break
            count = max(1, min(500, (free - room) // 4000))
            link.pipeline([("SET", f"cart:{n + i}", "x" * 1000) for i in range(count)])
            n += count
        until("the buffers of this connection are given back",
              lambda: int(self.redis.info("memory")["mem_clients_normal"]) < 60_000)
        self.assertEqual(self.redis.oom_errors(), 0)

    def test_it_does_not_tip_the_server_over(self):
        for room in (150_000, 250_000):
            with self.subTest(room):
                self.fill_but(room)
                code, out, _ = doctor(self.redis.url, "--json")
                told = json.loads(out)
                self.assertIn(code, (0, 3), told["evidence"])
                self.assertLessEqual(self.redis.counted(), 64 << 20)
                replies = self.redis.control.pipeline([("SET", f"new:{n}", "x" * 200) for n in range(20)])
                self.assertEqual(set(map(str, replies)), {"OK"})
                self.assertRegex(" ".join(told["unavailable"]), "keys: only [0-9]+ KiB are free")
                self.assertEqual(self.redis.calls("memory|usage"), 0)

    def test_what_the_server_knows_costs_nothing(self):
        self.server(maxmemory="64mb")
        for command in (("SCAN", 0), ("MEMORY", "USAGE", "x"), ("TYPE", "x"), ("PTTL", "x")):
            self.redis.command(*command)
        self.redis.command("CONFIG", "SET", "maxmemory", self.redis.used_memory() + 300_000)
        self.redis.command("SET", "cart:1", "x")
        told = json.loads(doctor(self.redis.url, "--json")[1])
        self.assertIsNotNone(told["sampled"])
        self.assertTrue(any("IDLETIME" in what or "HLEN" in what for what in told["unavailable"]), told["unavailable"])


if __name__ == "__main__":
    unittest.main()
