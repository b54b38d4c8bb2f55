# The scenarios' clients: writers, readers and consumers in processes of their own, and what they saw.
import multiprocessing
import signal
import threading
import time
from collections import Counter, defaultdict

from wire import ErrorReply, Wire, encode

BUCKETS_A_SECOND = 100      # how finely replies are put in time
BEHIND_MAX = 4              # a client that was slowed makes up for no more than this many turns
LATE_MAX_S = 20.0
READ_KEYS, READ_BYTES = 200, 400
KINDS = ("string", "hash", "list", "stream", "set", "zset")
VALUES = {}                 # one value of each size, made when it is first asked for


class Tally:
    """What clients saw: replies by kind and moment, texts of what went wrong, times of reads."""

    def __init__(self):
        self.replies = Counter()   # (bucket of time, "ok" | "guard" | "redis" | "other")
        self.errors = Counter()
        self.reads_ms = defaultdict(list)  # by the second in which they began
        self.done = 0

    def add(self, other):
        self.replies += other.replies
        self.errors += other.errors
        for second, times in other.reads_ms.items():
            self.reads_ms[second] += times
        self.done += other.done

    def note(self, reply, clock):
        kind = "ok"
        if isinstance(reply, ErrorReply):
            self.errors[str(reply)] += 1
            kind = "other" if not reply.startswith("OOM ") else "guard" if reply.startswith("OOM spillway") else "redis"
        self.replies[int(clock.now() * BUCKETS_A_SECOND), kind] += 1

    def count(self, *kinds, since=0.0, until=1e9):
        """How many replies of these kinds came between two moments; of all kinds if none is named."""
        return sum(number for (bucket, kind), number in self.replies.items()
                   if (not kinds or kind in kinds) and since <= bucket / BUCKETS_A_SECOND < until)

    def moments(self, *kinds, since=0.0):
        """When replies of these kinds came, in order; each moment once."""
        return sorted({bucket / BUCKETS_A_SECOND for bucket, kind in self.replies
                       if kind in kinds and bucket / BUCKETS_A_SECOND >= since})

    def p99_ms(self):
        """The 99th percentile of reads in a second of which but a quarter were better: on a shared machine the others
        tell what its neighbours did."""
        return quantile([quantile(times, 0.99) for times in self.reads_ms.values()], 0.25)


def quantile(values, share):
    rank = sorted(values)
    return rank[min(len(rank) - 1, int(len(rank) * share))]


class Clock:
    """The span in which all clients of one crowd work."""

    def __init__(self, seconds):
        self.start, self.seconds = time.monotonic() + 0.4, seconds

    def now(self):
        return time.monotonic() - self.start

    def turns(self, a_second, offset=0.0):
        """Comes round so often a second, or without a pause if that is None, until the span ends."""
        while self.now() < 0:
            time.sleep(max(0.0, -self.now()))
        due = offset / a_second if a_second else 0.0
        while (now := self.now()) < self.seconds:
            if a_second:
                if due > now:
                    time.sleep(min(due, self.seconds) - now)
                    if due >= self.seconds:
                        return
                due = max(due, self.now() - BEHIND_MAX / a_second) + 1 / a_second
            yield


def command_of(kind, prefix, number, size):
    """The growing command that adds the item of this number."""
    value = VALUES.setdefault(size, b"v" * size)
    if kind == "hash":
        return encode("HSET", f"{prefix}:h:{number // 100}", f"field:{number}", value)
    if kind == "list":
        return encode("RPUSH", f"{prefix}:l:{number // 1000}", value)
    if kind == "stream":
        return encode("XADD", f"{prefix}:x:{number // 100_000}", "*", "item", value)
    if kind == "set":
        return encode("SADD", f"{prefix}:s:{number // 1000}", b"%d:" % number + value)
    if kind == "zset":
        return encode("ZADD", f"{prefix}:z:{number // 1000}", number, b"%d:" % number + value)
    return encode("SET", f"{prefix}:{number}", value)


def write(wire, tally, clock, number, kind="string", size=1000, batch=16, a_second=None, prefix="cart", of=1):
    """Adds new items, some at once, so many turns a second."""
    item = number * 10_000_000
    for _ in clock.turns(a_second, number / of):
        kinds = [KINDS[(item + n) % len(KINDS)] if kind == "mixed" else kind for n in range(batch)]
        wire.send(b"".join(command_of(kinds[n], prefix, item + n, size) for n in range(batch)))
        item += batch
        for _ in range(batch):
            tally.note(wire.reply(), clock)


def read(wire, tally, clock, number, a_second=500, of=1):
    """Reads that are timed, and others that Redis always answers."""
    others = (("EXISTS", "read:1"), ("TTL", "read:2"), ("DEL", "none"), ("PING",))
    for turn, _ in enumerate(clock.turns(a_second, number / of)):
        began = time.perf_counter()
        reply = wire.command("GET", f"read:{turn % READ_KEYS}")
        tally.reads_ms[int(clock.now())].append((time.perf_counter() - began) * 1000)
        if reply != value_read(turn % READ_KEYS):
            tally.errors[f"read: {reply!r:.200}"] += 1
        if turn % 10 == 0 and isinstance(reply := wire.command(*others[turn // 10 % len(others)]), ErrorReply):
            tally.errors[f"read: {reply}"] += 1


def consume(wire, tally, clock, number, a_second=100, of=1, move="LMOVE"):
    """Moves a job to its list of those in work, and takes it off there when it is done."""
    active = f"active:{number}"
    for _ in clock.turns(a_second, number / of):
        job = (wire.command("LMOVE", "queue:jobs", active, "LEFT", "RIGHT") if move == "LMOVE" else
               wire.command("RPOPLPUSH", "queue:jobs", active))
        tally.note(job, clock)
        if isinstance(job, bytes):
            tally.done += wire.command("LREM", active, 1, job) == 1


def produce(wire, tally, clock, number, size=2000, batch=10, a_second=10, of=1):
    """Pushes jobs, some at once."""
    job = number * 10_000_000
    for _ in clock.turns(a_second, number / of):
        wire.send(b"".join(encode("RPUSH", "queue:jobs", b"%012d" % (job + n) + b"." * size) for n in range(batch)))
        job += batch
        for _ in range(batch):
            tally.note(wire.reply(), clock)


def value_read(number):
    return (b"value %d;" % number).ljust(READ_BYTES, b".")


def prepare_reads(redis):
    redis.control.pipeline([("SET", f"read:{n}", value_read(n)) for n in range(READ_KEYS)])


def at_work(clock, members, answer):
    """A process of the crowd: each of its connections has a thread and a tally."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    tallies = [Tally() for _ in members]

    def connection(tally, role, endpoint, number, numbers):
        try:
            with Wire(endpoint) as wire:
                role(wire, tally, clock, number, **numbers)
        except OSError as error:
            tally.errors[f"connection lost: {error!r}"] += 1

    threads = [threading.Thread(target=connection, args=(tally, *member), daemon=True)
               for tally, member in zip(tallies, members)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = Tally()
    for tally in tallies:
        total.add(tally)
    answer.send(total)


class Crowd:
    """Clients at work for some seconds, from entering the context on; leaving it ends them."""

    def __init__(self, seconds):
        self.seconds, self.groups, self.parts = seconds, {}, []

    def add(self, name, role, endpoints, connections, processes=1, **numbers):
        """Connections of one role, spread over endpoints and processes; `name` is what result() calls them."""
        members = [(role, endpoints[n % len(endpoints)], n, {"of": connections, **numbers}) for n in range(connections)]
        self.groups[name] = [members[part::processes] for part in range(processes)]
        return self

    def __enter__(self):
        context = multiprocessing.get_context("fork")
        self.clock = Clock(self.seconds)
        for name, parts in self.groups.items():
            for members in parts:
                answer, sender = context.Pipe(duplex=False)
                process = context.Process(target=at_work, args=(self.clock, members, sender), daemon=True)
                self.parts.append((name, process, answer))
                process.start()
                sender.close()
        return self

    def __exit__(self, *_):
        for _, process, answer in self.parts:
            if process.pid:
                process.kill()
                process.join()
            answer.close()

    def running(self):
        if self.clock.now() > self.seconds + LATE_MAX_S:
            raise AssertionError(f"clients were not answered for {LATE_MAX_S:.0f} s")
        return any(process.is_alive() and not answer.poll() for _, process, answer in self.parts)

    def watch(self, look, every=0.05):
        """Calls look(moment) again and again until all clients are done; gives the tallies."""
        while self.running():
            look(self.clock.now())
            time.sleep(every)
        return self.result()

    def result(self):
        totals = {name: Tally() for name in self.groups}
        for name, _, answer in self.parts:
            try:
                totals[name].add(answer.recv())
            except EOFError:
                raise AssertionError(f"a process of the {name} ended without a result") from None
        return totals
