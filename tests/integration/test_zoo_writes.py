# Writes that pass the limit at once, that nobody saw refused, and advice that is tried on a real server.
import json
import re
import unittest

from harness import until
from test_zoo import MB, REFUSED, Zoo, doctor


class Incidents(Zoo):
    def test_a_script_that_passes_the_limit_at_once(self):
        self.server(maxmemory="16mb")
        self.redis.command("CONFIG", "SET", "slowlog-log-slower-than", 20000)
        value = "x" * 1_000_000
        self.redis.command("EVAL", "for i = 1, 30 do redis.call('SET', 'out:' .. i, ARGV[1]) end", 0, value)
        self.refuse(count=1)
        told = self.sick("noeviction-at-ceiling", "one script", "scripts")
        self.assertNotIn("ceiling-lowered", told["also"])

    def test_commands_that_pass_the_limit_at_once(self):
        self.server(maxmemory="16mb")
        self.redis.command("CONFIG", "SET", "slowlog-log-slower-than", 20000)
        self.redis.control.pipeline([("SETRANGE", f"image:{n}", 4 * MB, "x") for n in range(6)])
        self.refuse(count=1)
        told = self.sick("noeviction-at-ceiling", "SETRANGE")
        self.assertNotIn("ceiling-lowered", told["also"])

    def test_large_writes_that_nobody_saw_refused(self):
        self.server()
        self.redis.fill(0.6, size=700, prefix="doc:")
        value = "x" * (22 * MB)

        def render(wire):
            wire.command("CLIENT", "SETNAME", "renderer")
            wire.command("SET", "render:1", value)

        with self.background(render):
            until("refusals", lambda: self.redis.oom_errors() > 1)
            told = json.loads(doctor(self.redis.url, "--json")[1])  # memory moves too much for look()
        self.sick("oversized-write", "query buffer of", "write_max", told=told)
        self.assertNotIn("allkeys", " ".join(told["advice"]))

    def test_what_xtrim_is_said_to_free(self):
        self.server(maxmemory="24mb")
        self.fill_stream()
        told = self.sick("big-key", "audit")
        command = re.search(r"XTRIM [^;(]*?MAXLEN \d+", " ".join(told["advice"])).group().split()
        before = self.redis.counted()
        self.redis.command(*command)
        self.assertAlmostEqual(self.redis.counted() / before, 0.5, delta=0.1)

    def fill_stream(self):
        for _ in range(200):
            replies = self.redis.control.pipeline([("XADD", "audit", "*", "d", "x" * 300)] * 1000)
            if str(replies[-1]).startswith(REFUSED):
                return
        raise AssertionError("nothing was refused")


class Healthy(Zoo):
    def test_one_key_is_most_of_a_cache(self):
        self.server(maxmemory="16mb", policy="allkeys-lru")
        for start in range(0, 12_000, 1000):
            fields = [part for n in range(start, start + 1000) for part in (f"item{n}", "x" * 800)]
            self.redis.command("HSET", "catalog", *fields)
        self.redis.fill(0.97, size=1000, prefix="page:")
        told = self.healthy()
        self.assertIn("hash catalog", " ".join(told["evidence"]))
        self.assertIn("one eviction", " ".join(told["evidence"]))


if __name__ == "__main__":
    unittest.main()
