# Holds what commands are charged against what a real server grows by: charges must bound growth.
import contextlib
import json
import os
import subprocess
import time
import unittest

from harness import ROOT, RedisServer, Spillway
from wire import ErrorReply, Wire, encode

COST_TRACE = os.environ.get("COST_TRACE_BIN", str(ROOT / "build/dev/tests/cost_trace"))
NOISE = 48 * 1024     # buffers of connections, first use of a command
BATCH = 500
MB = 1 << 20


def keys(count, *command):
    """`count` commands, each on a key of its own, put in for the word KEY."""
    return [[f"key:{n:08d}" if part == "KEY" else part for part in command] for n in range(count)]


def members(count, *command):
    """`count` commands on one key, each with a member of its own, put in for the word MEMBER."""
    return [[f"member:{n:06d}" if part == "MEMBER" else part for part in command] for n in range(count)]


def many(count, head, each):
    """One command with `count` elements."""
    return [list(head) + [f"member:{n:06d}" if part == "MEMBER" else part for n in range(count) for part in each]]


# What is charged must be no less than what the server grows by. A row is a name, the commands that come before and
# are not measured, and those that are.
BOUNDED = [
    *((f"SET {size} B", [], keys(min(3000, 24 * MB // (size + 1) + 1), "SET", "KEY", "v" * size))
      for size in (1, 20, 44, 45, 100, 200, 500, 1000, 1025, 4097, 10_000, 16_385, 65_537, 262_145, 1_048_577)),
    ("SET EX", [], keys(3000, "SET", "KEY", "v" * 100, "EX", "1000")),
    ("SETEX", [], keys(3000, "SETEX", "KEY", "1000", "v" * 100)),
    ("SET of 70,000 keys, tables included", [], keys(70_000, "SET", "KEY", "v")),
    ("SETNX", [], keys(3000, "SETNX", "KEY", "v" * 100)),
    ("MSET", [], [["MSET", *(part for n in range(1000) for part in (f"key:{n:08d}", "v" * 50))]]),
    ("INCR", [], keys(3000, "INCR", "KEY")),
    ("overwriting", keys(1000, "SET", "KEY", "v" * 1000), keys(1000, "SET", "KEY", "w" * 1000)),
    ("APPEND to new keys", [], keys(3000, "APPEND", "KEY", "v" * 100)),
    ("APPEND 100 B to one key", [], [["APPEND", "k", "v" * 100]] * 3000),
    ("SETRANGE 10 kB", [], keys(300, "SETRANGE", "KEY", "10000", "x")),
    ("SETRANGE 1 MB", [], keys(10, "SETRANGE", "KEY", "1000000", "x")),
    ("SETRANGE 20 MB", [], [["SETRANGE", "k", "20000000", "x"]]),
    ("SETBIT 10 MB", [], [["SETBIT", "k", "80000000", "1"]]),
    ("BITFIELD 10 MB", [], [["BITFIELD", "k", "SET", "u8", "#10000000", "1"]]),
    ("HSET new keys", [], keys(3000, "HSET", "KEY", "f", "v" * 10)),
    ("HSET 5000 fields", [], members(5000, "HSET", "k", "MEMBER", "v" * 10)),
    ("HSET 2000 fields at once", [], many(2000, ("HSET", "k"), ("MEMBER", "v" * 10))),
    ("HSET 100 B values", [], members(2000, "HSET", "k", "MEMBER", "v" * 100)),
    ("LPUSH new keys", [], keys(3000, "LPUSH", "KEY", "v" * 10)),
    ("LPUSH 100 B", [], [["LPUSH", "k", "v" * 100]] * 3000),
    ("LPUSH 9 kB", [], [["LPUSH", "k", "v" * 9000]] * 500),
    ("LPUSH 2000 at once", [], many(2000, ("LPUSH", "k"), ("MEMBER",))),
    ("SADD new keys", [], keys(3000, "SADD", "KEY", "member")),
    ("SADD 5000 members", [], members(5000, "SADD", "k", "MEMBER")),
    ("SADD 600 numbers", [], [["SADD", "k", str(n)] for n in range(600)]),
    ("SADD 3000 at once", [], many(3000, ("SADD", "k"), ("MEMBER",))),
    ("ZADD new keys", [], keys(3000, "ZADD", "KEY", "1", "member")),
    ("ZADD 5000 members", [], members(5000, "ZADD", "k", "1", "MEMBER")),
    ("ZADD 3000 at once", [], many(3000, ("ZADD", "k"), ("1", "MEMBER"))),
    ("GEOADD 3000 members", [], members(3000, "GEOADD", "k", "13.3", "38.1", "MEMBER")),
    ("PFADD new keys", [], keys(3000, "PFADD", "KEY", "member")),
    ("PFADD until dense", [], members(5000, "PFADD", "k", "MEMBER")),
    ("XADD 100 B", [["XADD", "k", "*", "f", "v"]], [["XADD", "k", "*", "f", "v" * 100]] * 3000),
    ("EXPIRE", keys(3000, "SET", "KEY", "v"), keys(3000, "EXPIRE", "KEY", "1000")),
    ("LMOVE", [["LPUSH", "k", *["v" * 10] * 3000]], [["LMOVE", "k", "l", "LEFT", "RIGHT"]] * 3000),
]
# The first of a kind costs more than is charged, so that all others are not charged for it: the next sample makes up
# for it. No more than this may come on top.
SURPRISES = [
    ("XADD new streams", 4400, [], keys(500, "XADD", "KEY", "*", "f", "v")),
    ("HSET the 513th field", 27_500, members(512, "HSET", "k", "MEMBER", "v"), [["HSET", "k", "one-more", "v"]]),
    ("HSET a 65 B value into 100 fields", 5_500, members(100, "HSET", "k", "MEMBER", "v"),
     [["HSET", "k", "one-more", "v" * 65]]),
    ("SADD the 513th number", 28_500, [["SADD", "k", *map(str, range(512))]], [["SADD", "k", "9999"]]),
    ("ZADD the 129th member", 15_000, members(128, "ZADD", "k", "1", "MEMBER"), [["ZADD", "k", "1", "one-more"]]),
    ("APPEND to 900 kB", MB, [["SETRANGE", "k", "900000", "x"]], [["APPEND", "k", "v"]]),
]


class CostTrace:
    """What commands are charged, by the code that charges them."""

    def __init__(self, stack):
        self.process = stack.enter_context(subprocess.Popen(
            [COST_TRACE], stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        stack.callback(self.process.stdin.close)

    def __call__(self, commands):
        data = b"".join(encode(*command) for command in commands)
        self.process.stdin.write(b"%d\n%s" % (len(data), data))
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Costs(unittest.TestCase):
    def setUp(self):
        self.redis = self.enterContext(RedisServer(
            maxmemory="2gb", maxmemory_policy="noeviction", enable_debug_command="yes"))
        self.spillway = self.enterContext(Spillway(self.redis))
        self.cost = CostTrace(self.enterContext(contextlib.ExitStack()))

    def settled_memory(self):
        """Memory once the buffers of the last connection are gone, and tables have moved."""
        lowest, since = self.redis.used_memory(), time.monotonic()
        while time.monotonic() - since < 0.3:
            used = self.redis.used_memory()
            if used < lowest - 1024:
                lowest, since = used, time.monotonic()
            time.sleep(0.02)
        return lowest

    def send(self, commands):
        with Wire(self.spillway.endpoint) as wire:
            for start in range(0, len(commands), BATCH):
                for reply in wire.pipeline(commands[start:start + BATCH]):
                    self.assertNotIsInstance(reply, ErrorReply)

    def measure(self, before, commands):
        """Bytes that the server grew by, and the sums of what was charged."""
        self.redis.command("FLUSHALL", "SYNC")
        self.send(before)
        start = self.settled_memory()
        self.send(commands)
        grown = self.settled_memory() - start
        charged = self.cost(commands)
        self.assertEqual(charged["commands"], len(commands))
        return grown, charged

    def test_charges_bound_growth(self):
        table, failed = [], []
        for name, before, commands in BOUNDED:
            grown, charged = self.measure(before, commands)
            bounded = grown <= charged["lasting"] + NOISE and charged["charge"] >= charged["lasting"]
            count = len(commands)
            table.append(f"{'' if bounded else 'BEYOND':7}{name:38}{count:7}{grown / count:14.1f}"
                         f"{charged['lasting'] / count:14.1f}{charged['charge'] / count:14.1f}"
                         f"{grown / charged['lasting']:7.2f}")
            failed += [] if bounded else [name]
        head = f"{'':7}{'each command, bytes':38}{'count':>7}{'grown':>14}{'lasting':>14}{'charge':>14}{'ratio':>7}"
        report = "\n".join([head, *table])
        if os.environ.get("COSTS_SHOW"):
            print("\n" + report)
        self.assertFalse(failed, "more was gained than charged\n" + report)

    def test_surprises_are_known(self):
        table, failed = [], []
        for name, most, before, commands in SURPRISES:
            grown, charged = self.measure(before, commands)
            beyond = (grown - charged["lasting"] - (NOISE if len(commands) > 1 else 2048)) / len(commands)
            table.append(f"{name:38}{grown / len(commands):12.0f}{charged['lasting'] / len(commands):12.0f}{most:12}")
            failed += [name] if beyond > most else []
        report = "\n".join([f"{'each command, bytes':38}{'grown':>12}{'lasting':>12}{'on top':>12}", *table])
        if os.environ.get("COSTS_SHOW"):
            print("\n" + report)
        self.assertFalse(failed, "\n" + report)


if __name__ == "__main__":
    unittest.main()
