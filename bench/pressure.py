# Scenarios in which writers want more memory than there is.
import time

from lab import MB, Measure, Scenario, at_least, at_most, between, none, p99_ratio, read_errors, some
from load import Crowd, consume, prepare_reads, produce, read, write

ITEMS_A_SECOND_MAX = 25_000  # that these clients can send
OVERHEAD = {"string": 90, "hash": 80, "list": 10, "stream": 30, "set": 90, "zset": 110, "mixed": 70}


class Pressure(Scenario):
    """Writers that would fill the rest of Redis in some seconds and go on, beside readers."""

    numbers = {"maxmemory": 64, "writers": 20, "kind": "string", "size": 1000, "batch": 4, "filled": 0.6, "fill_s": 8,
               "shed_at": 0.97, "horizon": "10s"}
    choices = {"maxmemory": (32, 48, 64, 100, 128, 256), "writers": (5, 10, 20, 40), "batch": (1, 4, 16, 50),
               "kind": ("string", "hash", "list", "stream", "set", "zset", "mixed"), "filled": (0.3, 0.6, 0.8),
               "size": (100, 500, 1000, 5000, 20_000, 100_000, 1_000_000), "fill_s": (2, 4, 8),
               "shed_at": (0.9, 0.95, 0.97, 0.98), "horizon": ("0s", "2s", "5s", "10s")}

    def item_bytes(self):
        return self.n["size"] + OVERHEAD[self.n["kind"]]

    def fill_seconds(self):
        """Until nothing is left, if nobody slows the writers: as asked for, or as fast as they are."""
        room = self.n["maxmemory"] * MB * (1 - self.n["filled"])
        return max(self.n["fill_s"], room / self.item_bytes() / ITEMS_A_SECOND_MAX)

    def length(self, side):
        """Long enough for pacing to let memory come near to shed_at, which takes it up to three horizons."""
        return side.seconds(self.fill_seconds() + max(5, 3 * float(self.n["horizon"].rstrip("s"))))

    def writing(self):
        """The writers' numbers: what each of them sends, and how often."""
        n, item = self.n, self.item_bytes()
        batch = max(1, min(n["batch"], n["maxmemory"] * MB // 100 // item))
        items_a_second = n["maxmemory"] * MB * (1 - n["filled"]) / self.fill_seconds() / item
        return {"kind": n["kind"], "size": n["size"], "batch": batch, "a_second": items_a_second / batch / n["writers"]}

    def memory_bar(self, high=100):
        """A large write needs 2.5 times its size for a moment, which must be left."""
        large = 250 * self.n["size"] / (self.n["maxmemory"] * MB) if self.n["size"] > 20_000 else 0
        return between(round(100 * self.n["shed_at"] - 1 - large, 1), high, " %")

    def measures(self):
        # Redis reads a large value in one go, whoever sends it: reads wait for that.
        quick = at_most(1.5, " x") if self.n["size"] <= 20_000 else None
        return [Measure("OOM replies by Redis", none(), alone=some()), Measure("refused by Spillway", None),
                Measure("reads refused", none()), Measure("read p99, against quiet", quick, " x", 2),
                Measure("memory at the end", self.memory_bar(), " %", 1)]

    def start(self, side, proxies=1):
        """A Redis that is filled in part, and where to connect."""
        redis = side.start_redis(self.n["maxmemory"])
        prepare_reads(redis)
        redis.fill(self.n["filled"])
        return side.open(proxies, self.guard())

    def quiet(self, side, doors):
        """The readers alone: what a read takes when nothing happens."""
        with Crowd(side.seconds(8)).add("readers", read, doors, 2, 2) as crowd:
            return crowd.watch(lambda _: None)["readers"]

    def burst(self, side, doors, curve=None, also=None):
        """The writers and readers together; memory is looked at meanwhile, straight at Redis."""
        crowd = Crowd(self.length(side)).add("readers", read, doors, 2, 2)
        crowd.add("writers", write, doors, self.n["writers"], 2, **self.writing())
        if also:
            also(crowd)
        curve = curve if curve is not None else []
        with crowd:
            tallies = crowd.watch(lambda moment: curve.append((moment, side.share())))
        tallies["curve"] = [(moment, share) for moment, share in curve if 0 <= moment <= crowd.seconds]
        return tallies

    def figures(self, side, quiet, loaded):
        writers, readers = loaded["writers"], loaded["readers"]
        return {"OOM replies by Redis": side.redis.oom_errors(), "refused by Spillway": side.verdicts("refused"),
                "reads refused": read_errors(readers) + read_errors(writers),
                "read p99, against quiet": p99_ratio(readers, quiet), "memory at the end": loaded["curve"][-1][1]}


class Burst(Pressure):
    name, title = "burst", "{writers} writers into {maxmemory} MB, noeviction"

    def run(self, side):
        doors = self.start(side)
        quiet = self.quiet(side, doors)
        loaded = self.burst(side, doors)
        return {**self.figures(side, quiet, loaded), "curve": loaded["curve"]}


class Proxies(Pressure):
    name, title = "proxies", "the burst through {proxies} proxies that know nothing of each other"
    numbers = {**Pressure.numbers, "proxies": 2}
    choices = {**Pressure.choices, "proxies": (2, 3, 4, 8, 16)}

    def measures(self):
        return [measure for measure in super().measures() if "p99" not in measure.name]

    def run(self, side):
        doors = self.start(side, self.n["proxies"])
        loaded = self.burst(side, doors)
        return self.figures(side, loaded["readers"], loaded)


class FourProxies(Proxies):
    name = "proxies4"
    numbers = {**Proxies.numbers, "proxies": 4}


class Bypass(Pressure):
    name, title = "bypass", "one more writer goes past Spillway, {bypass_mb} MB/s"
    numbers = {**Pressure.numbers, "bypass_mb": 0.5}
    choices = {**Pressure.choices, "bypass_mb": (0.1, 0.5, 1, 2)}

    def measures(self):
        return [Measure("OOM replies to Spillway's clients", none(), alone=some()), Measure("reads refused", none()),
                Measure("memory at the end", self.memory_bar(101), " %", 1),
                Measure("OOM replies past Spillway", None)]

    def run(self, side):
        doors, size = self.start(side), 1000
        loaded = self.burst(side, doors, also=lambda crowd: crowd.add(
            "past", write, [side.redis.endpoint], 1, size=size, batch=4, prefix="past",
            a_second=self.n["bypass_mb"] * MB / 4 / (size + OVERHEAD["string"])))
        return {"OOM replies to Spillway's clients": loaded["writers"].count("redis"),
                "reads refused": read_errors(loaded["readers"]), "memory at the end": loaded["curve"][-1][1],
                "OOM replies past Spillway": loaded["past"].count("redis")}


class Consumers(Scenario):
    """Producers at some times the rate of the consumers, whose moves are critical."""

    name, title = "consumers", "consumers critical, producers at {times} x their rate"
    numbers = {"maxmemory": 64, "jobs_a_second": 1000, "times": 2, "size": 800, "batch": 1, "consumers": 4,
               "producers": 8, "filled": 0.95, "seconds": 12, "move": "LMOVE", "shed_at": 0.97, "horizon": "10s"}
    choices = {"maxmemory": (32, 64, 128), "jobs_a_second": (300, 600, 1000), "times": (1.5, 2, 4), "batch": (1, 2),
               "size": (500, 800, 2000, 10_000), "consumers": (1, 4, 8), "filled": (0.95, 0.97),
               "producers": (4, 8, 20), "move": ("LMOVE", "RPOPLPUSH"), "shed_at": (0.9, 0.95, 0.97, 0.98),
               "horizon": ("0s", "2s", "10s")}

    def measures(self):
        return [Measure("consumer errors", none(), alone=some()), Measure("consumers' rate, of what they would do",
                at_least(95, " %"), " %", 0), Measure("OOM replies by Redis", none(), alone=some()),
                Measure("pushes refused by Spillway", None)]

    def run(self, side):
        n = self.n
        redis = side.start_redis(n["maxmemory"])
        batch = max(1, min(50, MB // n["size"] // 4))
        while side.share() < 100 * n["filled"]:
            redis.control.pipeline([("RPUSH", "queue:jobs", b"%012d" % 0 + b"." * n["size"])] * batch)
        rule = {"name": "drain", "commands": [n["move"]], "priority": "critical"}
        doors = side.open(guard={**self.guard(), "rule": [rule]})
        seconds = side.seconds(n["seconds"])
        crowd = Crowd(seconds).add("consumers", consume, doors, n["consumers"], 2, move=n["move"],
                                   a_second=n["jobs_a_second"] / n["consumers"])
        crowd.add("producers", produce, doors, n["producers"], 1, size=n["size"], batch=n["batch"],
                  a_second=n["times"] * n["jobs_a_second"] / n["producers"] / n["batch"])
        with crowd:
            tallies = crowd.watch(lambda _: None)
        done = tallies["consumers"]
        return {"consumer errors": sum(done.errors.values()), "OOM replies by Redis": redis.oom_errors(),
                "consumers' rate, of what they would do": 100 * done.done / (n["jobs_a_second"] * seconds),
                "pushes refused by Spillway": side.verdicts("refused")}


class RunningOut(Scenario):
    """Keys without a TTL push out those with one, until none is left to evict."""

    name, title = "volatile", "volatile-lru running out of keys with a TTL"
    numbers = {"maxmemory": 64, "with_ttl": 0.4, "size": 1000, "writers": 10, "batch": 8, "gone_s": 5,
               "shed_at": 0.97, "horizon": "10s"}
    choices = {"maxmemory": (32, 64, 128), "with_ttl": (0.1, 0.25, 0.4, 0.6), "size": (200, 1000, 5000),
               "writers": (4, 10, 20), "batch": (1, 8, 30), "gone_s": (4, 8), "shed_at": (0.95, 0.97),
               "horizon": ("2s", "10s")}

    def measures(self):
        return [Measure("paced before the first OOM by", some(), " s", 1), Measure("OOM replies by Redis", none(), alone=some()), Measure("refused by Spillway", None), Measure("reads refused", none())]

    def run(self, side):
        n = self.n
        redis = side.start_redis(n["maxmemory"], "volatile-lru")
        prepare_reads(redis)
        redis.fill(1 - n["with_ttl"], size=n["size"])
        number, step = 0, max(1, 200_000 // n["size"])
        while redis.info("stats")["evicted_keys"] == "0":
            redis.control.pipeline([("SET", f"ttl:{key}", "x" * n["size"], "EX", 3600)
                                    for key in range(number, number + step)])
            number += step
        doors, room = side.open(guard=self.guard()), n["maxmemory"] * MB * n["with_ttl"] / (n["size"] + OVERHEAD["string"])
        gone_s = max(n["gone_s"], room / ITEMS_A_SECOND_MAX)
        items = room / gone_s
        crowd = Crowd(side.seconds(2 * gone_s + 5)).add("readers", read, doors, 1, 1, a_second=200)
        crowd.add("writers", write, doors, n["writers"], 2, size=n["size"], batch=n["batch"],
                  a_second=items / n["batch"] / n["writers"])
        paced, first = [], []

        def look(moment):
            if side.guarded and not paced and side.verdicts("held") > 0:
                paced.append(moment)
            if not first and redis.oom_errors():
                first.append(moment)
        with crowd:
            tallies = crowd.watch(look)
        last = first[0] if first else crowd.seconds
        return {"paced before the first OOM by": last - paced[0] if paced else 0 if side.guarded else None,
                "OOM replies by Redis": redis.oom_errors(), "refused by Spillway": side.verdicts("refused"),
                "reads refused": read_errors(tallies["readers"])}


class Relief(Pressure):
    """Half of the data is deleted while writers are being refused."""

    name, title = "relief", "half is deleted in the middle of a burst"
    numbers = {**Pressure.numbers, "filled": 0.9, "fill_s": 2, "batch": 16, "freed": 0.5, "size": 500}
    choices = {**Pressure.choices, "filled": (0.8, 0.9, 0.95), "freed": (0.2, 0.5, 0.9), "size": (100, 500, 1000, 5000)}

    def measures(self):
        return [Measure("until writes are served again", at_most(1, " s"), " s", 2),
                Measure("refused in the second after that", none()), Measure("OOM replies by Redis", none(), alone=some()),
                Measure("reads refused", none())]

    def start(self, side, proxies=1):
        doors = super().start(side, proxies)
        side.keys = side.redis.command("DBSIZE")
        return doors

    def relieve(self, side):
        """Deletes a share of what filled Redis at first, as an operator would."""
        script = "for i = 0, ARGV[1] do redis.call('unlink', 'fill:' .. i) end"
        side.redis.command("EVAL", script, 0, int(side.keys * self.n["freed"]))

    def run(self, side):
        doors, relieved, seconds = self.start(side), [], side.seconds(2 * self.fill_seconds() + 5)

        def look(moment):
            curve.append((moment, side.share()))
            if not relieved and moment > seconds / 2:
                relieved.append(self.moment_of(side, moment))
        curve = []
        crowd = Crowd(seconds).add("readers", read, doors, 2, 2)
        crowd.add("writers", write, doors, self.n["writers"], 2, **self.writing())
        with crowd:
            tallies = crowd.watch(look, every=0.02)
        return self.returned(side, tallies, relieved[0], seconds)

    def moment_of(self, side, moment):
        began = time.monotonic()
        self.relieve(side)
        return moment + time.monotonic() - began

    def returned(self, side, tallies, moment, seconds):
        writers = tallies["writers"]
        # Served again: from the first moment on after which all that follows for a fifth of a second is accepted.
        bad = writers.moments("guard", "redis", since=moment)
        back, last = moment, moment
        for one in [*bad, seconds]:
            if one - last > 0.2:
                break
            last = back = one
        served = [one for one in writers.moments("ok", since=back)]
        back = served[0] if served else seconds
        return {"until writes are served again": back - moment,
                "refused in the second after that": writers.count("guard", "redis", since=back + 0.02, until=back + 1),
                "OOM replies by Redis": side.redis.oom_errors(), "reads refused": read_errors(tallies["readers"])}
