# Scenarios in which the guard must not be noticed, and those that are exact: one header, one order of commands.
import json
import statistics
import subprocess
import threading
import time
from pathlib import Path

from lab import MB, Measure, Scenario, at_least, at_most, none, read_errors, some
from load import Crowd, read, write
from pressure import Pressure
from wire import ErrorReply, Wire, encode


class Steady(Scenario):
    """Overwriting at full speed, the guard off and on by turns, so that what the machine does hits both alike."""

    name, title = "overwriting", "overwriting at {share:.0%} of {maxmemory} MB, noeviction"
    policy = "noeviction"
    numbers = {"maxmemory": 64, "share": 0.98, "size": 1000, "clients": 8, "batch": 1, "turns": 40, "turn_s": 0.4,
               "shed_at": 0.97, "horizon": "10s"}
    choices = {"maxmemory": (64, 128, 256), "share": (0.9, 0.95, 0.98), "size": (100, 1000, 5000, 20_000),
               "clients": (1, 8, 16), "batch": (1, 4, 16), "shed_at": (0.9, 0.95, 0.97), "horizon": ("0s", "2s", "10s")}

    def measures(self):
        return [Measure("refused by Spillway", none()), Measure("held for a moment, of all writes", None, " %", 2),
                Measure("OOM replies by Redis", none()), Measure("writes a second", None), Measure("throughput, of guard off", at_least(97, " %"), " %", 1),
                Measure("processor time a write, of guard off", None, " %", 1)]

    def fill(self, side):
        """Keys named as redis-benchmark names them, until the share is used; gives how many."""
        redis, size, number = side.redis, self.n["size"], 0
        target = self.n["share"] * side.ceiling()
        while (room := target - redis.counted()) > 2 * size:
            count = max(1, min(2000, int(room / (size + 150) / 2)))
            replies = redis.control.pipeline([("SET", f"k:{key:012d}", "x" * size) for key in range(number, number + count)])
            number += count
            if replies[-1] != "OK":
                break
        return number

    def run(self, side):
        n = self.n
        side.start_redis(n["maxmemory"], self.policy)
        keys = self.fill(side)
        (_, port), = side.open(guard=self.guard())
        command = ["redis-benchmark", "-p", str(port), "-c", str(n["clients"]), "-P", str(min(n["batch"], 200_000 // n["size"] or 1)),
                   "-r", str(keys), "-l", "-q", "SET", "k:__rand_int__", "x" * n["size"]]
        load = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        try:
            time.sleep(1.0)  # connections and buffers take their memory
            rates, cpu = self.turns(side)
        finally:
            load.kill()
            load.wait()
        figures = {"OOM replies by Redis": side.redis.oom_errors(), "writes a second": statistics.median(rates["protect"])}
        if side.guarded:
            ratios = [on / off for on, off in zip(rates["protect"], rates["off"])]
            figures |= {"throughput, of guard off": 100 * statistics.median(ratios),
                        "processor time a write, of guard off": 100 * cpu["protect"] / cpu["off"],
                        "refused by Spillway": side.verdicts("refused"), "held for a moment, of all writes":
                        100 * side.verdicts("held") / self.processed(side)}
        return figures

    def turns(self, side):
        """Writes a second with the guard on and off, and processor time a write of Redis and Spillway together; each
        pair of turns is in the other order than the one before."""
        rates, spent, written = {"protect": [], "off": []}, {"protect": 0.0, "off": 0.0}, {"protect": 0, "off": 0}
        for turn in range(max(4, int(self.n["turns"] * side.scale))):
            pair = ("protect", "off") if turn % 2 else ("off", "protect")
            for mode in pair if side.guarded else ("protect",):
                if side.guarded:
                    self.set_mode(side.proxies[0], mode)
                began, before, cpu = time.perf_counter(), self.processed(side), self.cpu_seconds(side)
                time.sleep(self.n["turn_s"])
                done = self.processed(side) - before
                rates[mode].append(done / (time.perf_counter() - began))
                spent[mode] += self.cpu_seconds(side) - cpu
                written[mode] += done
        return rates, {mode: spent[mode] / max(1, written[mode]) for mode in spent}

    @staticmethod
    def set_mode(proxy, mode):
        status, text, _ = proxy.request("POST", "/api/v1/mode", json.dumps({"mode": mode}),
                                        {"Content-Type": "application/json"})
        if status != 200:
            raise AssertionError(f"Spillway would not change to mode {mode}: {status} {text}")

    @staticmethod
    def cpu_seconds(side):
        return sum(process.cpu_seconds() for process in (side.redis, *side.proxies))

    @staticmethod
    def processed(side):
        return side.redis.calls("set")


class FullCache(Steady):
    name, title, policy = "cache", "allkeys-lru, full: new keys push out old ones", "allkeys-lru"
    numbers = {key: value for key, value in Steady.numbers.items() if key != "share"} | {"batch": 16}
    choices = {key: value for key, value in Steady.choices.items() if key != "share"}

    def fill(self, side):
        keys, step = 0, max(1, 200_000 // self.n["size"])
        while side.redis.info("stats")["evicted_keys"] == "0":
            side.redis.control.pipeline([("SET", f"fill:{keys + n}", "x" * self.n["size"]) for n in range(step)])
            keys += step
        return 10 * keys  # of other names: few of them are there when they are written


class MovedCeiling(Pressure):
    """CONFIG SET maxmemory up, later down below what is used, in the middle of a burst."""

    name, title = "maxmemory", "CONFIG SET maxmemory {maxmemory} -> x {up}, then x {down} of that"
    numbers = {**Pressure.numbers, "filled": 0.9, "fill_s": 2, "batch": 16, "up": 1.5, "down": 0.8, "size": 500}
    choices = {**Pressure.choices, "filled": (0.8, 0.9), "up": (1.2, 1.5, 2), "down": (0.5, 0.8, 0.9),
               "size": (100, 500, 1000)}

    def measures(self):
        return [Measure("raised: until writes are served", at_most(1, " s"), " s", 2),
                Measure("lowered: until the last OOM by Redis", at_most(1, " s"), " s", 2),
                Measure("OOM replies by Redis", None), Measure("reads refused", none())]

    def run(self, side):
        doors, seconds, moved = self.start(side), side.seconds(2 * self.fill_seconds() + 5), []
        sizes = [self.n["maxmemory"] * self.n["up"], self.n["maxmemory"] * self.n["up"] * self.n["down"]]

        def look(moment):
            if len(moved) < 2 and moment > seconds * (len(moved) + 1) / 3:
                # Below what is used by then, and not only below what was allowed.
                size = sizes[len(moved)] * MB if not moved else min(sizes[1] * MB, side.redis.counted() * 0.95)
                side.redis.command("CONFIG", "SET", "maxmemory", int(size))
                moved.append(moment)
        crowd = Crowd(seconds).add("readers", read, doors, 2, 2)
        crowd.add("writers", write, doors, self.n["writers"], 2, **self.writing())
        with crowd:
            tallies = crowd.watch(look, every=0.02)
        writers, (up, down) = tallies["writers"], moved
        served, ooms = writers.moments("ok", since=up), writers.moments("redis", since=down)
        return {"raised: until writes are served": served[0] - up if served else seconds,
                "lowered: until the last OOM by Redis": max(0.0, ooms[-1] - down) if ooms else 0.0,
                "OOM replies by Redis": side.redis.oom_errors(), "reads refused": read_errors(tallies["readers"])}


class Header(Scenario):
    """The announced length alone makes Redis allocate: what counts happens before the value is sent."""

    name, title = "header", "a SET of {megabytes} MB into {maxmemory} MB: its first megabyte"
    numbers = {"maxmemory": 64, "megabytes": 300, "filled": 0.5, "command": "SET"}
    choices = {"maxmemory": (32, 64, 128, 256), "megabytes": (200, 300, 500), "filled": (0.1, 0.5, 0.8),
               "command": ("SET", "RPUSH", "APPEND", "HSET")}

    def measures(self):
        return [Measure("Redis' memory grows by", at_most(3, " MB"), " MB", 1), Measure("the reply", None),
                Measure("other writes meanwhile refused", none()),
                Measure("connection unusable after that", none(), alone=None)]

    def run(self, side):
        n = self.n
        redis = side.start_redis(n["maxmemory"])
        redis.fill(n["filled"])
        door, = side.open()
        words = [n["command"], "big"] + (["field"] if n["command"] == "HSET" else [])
        size, peak = n["megabytes"] * MB, []
        with Wire(door, timeout=30) as wire, Wire(door) as other:
            before = redis.used_memory()
            wire.send(encode(*words).replace(b"*%d" % len(words), b"*%d" % (len(words) + 1), 1) + b"$%d\r\n" % size + b"x" * MB)
            refused = 0
            for key in range(100):
                refused += isinstance(other.command("SET", f"small:{key}", "v"), ErrorReply)
                peak.append(redis.used_memory() - before)
            for _ in range(n["megabytes"] - 1):
                wire.send(b"x" * MB)
            wire.send(b"\r\n" + encode("PING"))
            reply, pong = wire.reply(), wire.reply()
        reply = str(reply) if isinstance(reply, ErrorReply) else "accepted"
        return {"Redis' memory grows by": max(peak) / MB, "the reply": reply.split(" (")[0][:46],
                "other writes meanwhile refused": refused, "connection unusable after that": int(pong != "PONG")}


class Order(Scenario):
    """Numbered pushes and echoes in deep pipelines while the guard refuses some: each must be answered in its place."""

    name, title = "order", "{commands:,} numbered commands in pipelines, under shedding"
    numbers = {"maxmemory": 64, "commands": 100_000, "connections": 4, "batch": 500, "size": 1000, "filled": 0.9}
    choices = {"maxmemory": (32, 64, 128), "connections": (1, 2, 8), "batch": (50, 500, 2000), "size": (100, 400, 1000),
               "filled": (0.85, 0.95)}

    def measures(self):
        return [Measure("replies out of order or wrong", none()), Measure("lost or doubled in Redis", none()),
                Measure("refused, of those that grow", some()), Measure("OOM replies by Redis", none(), alone=some())]

    def run(self, side):
        n = self.n
        redis = side.start_redis(n["maxmemory"])
        redis.fill(n["filled"])
        door, = side.open(guard={"horizon": "0s"})
        each = n["commands"] // n["connections"]
        seen = [{"wrong": 0, "refused": 0, "accepted": []} for _ in range(n["connections"])]
        threads = [threading.Thread(target=self.talk, args=(door, number, each, seen[number])) for number in range(n["connections"])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        astray = 0
        for number, one in enumerate(seen):
            kept = [int(item[:9]) for item in redis.command("LRANGE", f"log:{number}", 0, -1)]
            astray += 0 if kept == one["accepted"] else len(set(kept) ^ set(one["accepted"])) or 1
        return {"replies out of order or wrong": sum(one["wrong"] for one in seen), "lost or doubled in Redis": astray,
                "refused, of those that grow": sum(one["refused"] for one in seen), "OOM replies by Redis": redis.oom_errors()}

    def talk(self, door, number, count, seen):
        """Every third command echoes its number; the others push it, and the list's length comes back."""
        padding, key = b"." * self.n["size"], f"log:{number}"
        seen["wrong"] = count  # until all is answered
        wrong = 0
        with Wire(door, timeout=30) as wire:
            for first in range(0, count, self.n["batch"]):
                numbers = range(first, min(count, first + self.n["batch"]))
                sender = threading.Thread(target=wire.send, args=(b"".join(
                    encode("ECHO", one) if one % 3 == 0 else encode("RPUSH", key, b"%09d" % one + padding)
                    for one in numbers),))
                sender.start()
                for one in numbers:
                    wrong += not self.right(wire.reply(), one, seen)
                sender.join()
        seen["wrong"] = wrong

    @staticmethod
    def right(reply, one, seen):
        if one % 3 == 0:
            return reply == b"%d" % one
        if isinstance(reply, ErrorReply):
            seen["refused"] += 1
            return reply.startswith("OOM ")
        seen["accepted"].append(one)
        return reply == len(seen["accepted"])
