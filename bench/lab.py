# What a scenario is made of: servers for one side of the comparison, measures with their bars, other numbers.
import random
import re
import string
import sys
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/integration"))

from harness import RedisServer, Spillway, until  # noqa: E402

MB = 1 << 20
ALONE, GUARDED = "Redis alone", "with Spillway"


class Bar:
    """What a measure must be: in words, and as a test of the value."""

    def __init__(self, text, test):
        self.text, self.test = text, test


def none():
    return Bar("0", lambda value: value == 0)


def at_most(limit, unit=""):
    return Bar(f"<= {limit:g}{unit}", lambda value: value <= limit)


def at_least(limit, unit=""):
    return Bar(f">= {limit:g}{unit}", lambda value: value >= limit)


def between(low, high, unit=""):
    return Bar(f"{low:g} to {high:g}{unit}", lambda value: low <= value <= high)


def some():
    return Bar("> 0", lambda value: value > 0)


class Measure:
    """One line of the table: values of both sides, and the bar for Spillway's (and for Redis alone, if that matters)."""

    def __init__(self, name, bar, unit="", digits=0, alone=None):
        self.name, self.bar, self.unit, self.digits, self.alone = name, bar, unit, digits, alone

    def show(self, value):
        if value is None:
            return "-"
        return value if isinstance(value, str) else f"{value:,.{self.digits}f}{self.unit}"

    def bar_text(self):
        return self.bar.text + (f" (alone {self.alone.text})" if self.alone else "") if self.bar else ""

    def verdict(self, alone, guarded):
        """Empty when there is no bar; void when Redis alone had not the trouble that Spillway is there against."""
        if not self.bar:
            return ""
        if guarded is None or not self.bar.test(guarded):
            return "missed"
        return "ok" if not self.alone or self.alone.test(alone) else "void"


class Side:
    """Redis alone, or Redis with Spillway in front: the same scenario runs on either."""

    def __init__(self, name, binary, scale):
        self.name, self.binary, self.scale = name, binary, scale
        self.stack = ExitStack()
        self.redis, self.proxies = None, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    @property
    def guarded(self):
        return self.name == GUARDED

    def seconds(self, seconds):
        return max(1.0, seconds * self.scale)

    def start_redis(self, maxmemory, policy="noeviction"):
        self.redis = self.stack.enter_context(RedisServer(maxmemory=f"{maxmemory}mb", maxmemory_policy=policy))
        return self.redis

    def open(self, count=1, guard=None, **sections):
        """Where clients connect: Redis itself, or so many proxies in front of it that have seen its memory."""
        if not self.guarded:
            return [self.redis.endpoint]
        for _ in range(count):
            proxy = Spillway(self.redis, binary=self.binary, guard={"mode": "protect", **(guard or {})}, **sections)
            self.proxies.append(self.stack.enter_context(proxy))
        for proxy in self.proxies:
            until("a sample that tells of what is there", lambda: abs(
                proxy.metric("spillway_backend_counted_memory_bytes") - self.redis.counted()) < 2 * MB)
        return [proxy.endpoint for proxy in self.proxies]

    def metric(self, name, **labels):
        return sum(proxy.metric(name, **labels) for proxy in self.proxies)

    def verdicts(self, verdict):
        return self.metric("spillway_commands_total", verdict=verdict) if self.proxies else None

    def ceiling(self):
        return int(self.redis.info("memory")["maxmemory"])

    def share(self):
        """Counted memory in per cent of the ceiling."""
        return 100 * self.redis.counted() / self.ceiling()


class Scenario:
    """One kind of day: subclasses say how it runs on one side, and what is measured."""

    name = title = ""
    numbers = {}      # what --set and --seed change
    choices = {}      # what --seed may draw for each of them

    def __init__(self, changes=None, seed=None):
        chance = random.Random(f"{seed} {self.name}")
        drawn = {key: chance.choice(values) for key, values in self.choices.items()} if seed is not None else {}
        self.n = {**self.numbers, **drawn, **{key: value for key, value in (changes or {}).items() if key in self.numbers}}

    def label(self):
        """The title, and the numbers that are not the usual ones."""
        told = {field for _, field, _, _ in string.Formatter().parse(self.title)}
        other = [f"{key} {value}" for key, value in self.n.items() if key not in told and value != self.numbers[key]]
        return self.title.format(**self.n) + (f" ({', '.join(other)})" if other else "")

    def guard(self):
        """The guard's part of the configuration."""
        return {key: self.n[key] for key in ("shed_at", "horizon", "hold_max", "throttle_at") if key in self.n}

    def measures(self):
        raise NotImplementedError

    def run(self, side):
        """{name of a measure: value} of one side."""
        raise NotImplementedError


def p99_ratio(loaded, quiet):
    return loaded.p99_ms() / quiet.p99_ms()


def read_errors(tally):
    return sum(count for text, count in tally.errors.items() if re.match("read|connection", text))
