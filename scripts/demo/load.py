# The demonstration's load: an application that fills Redis with carts, reads, and empties a queue.
from __future__ import annotations

import multiprocessing
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from typing import Callable, Iterator

from resp_client import RespClient, RespError, encode

WRITERS, BATCH, VALUE_BYTES = 20, 16, 1000
READERS, READS_PER_SECOND = 4, 400
JOBS_PER_SECOND, JOB_BYTES = 100, 400
PRODUCTS, PRODUCT_BYTES = 200, 400
CART_BYTES = 1130           # what Redis needs for one cart: value, key and table entry
CEILING_REACHED_AT = 0.4    # the share of a run after which the carts alone would fill Redis
SENT_MAX_SHARE = 3          # no run sends more than this many times maxmemory
OUT_OF_STEP_BATCHES = 4     # a writer that was slowed makes up for no more than this


@dataclass(frozen=True)
class Plan:
    """One run: where to, when (on the monotonic clock) and how much."""
    port: int
    start_at: float
    seconds: float
    maxmemory: int

    @property
    def end_at(self) -> float:
        return self.start_at + self.seconds

    @property
    def carts_per_second(self) -> float:
        return self.maxmemory / CART_BYTES / (CEILING_REACHED_AT * self.seconds)

    @property
    def batches_max(self) -> int:
        return self.maxmemory * SENT_MAX_SHARE // (CART_BYTES * BATCH * WRITERS)


@dataclass
class Tally:
    """What the application saw. Times in milliseconds; errors by the text of the reply."""
    accepted: int = 0
    write_errors: Counter[str] = field(default_factory=Counter)
    write_ms: list[float] = field(default_factory=list)  # of a batch
    reads: int = 0
    read_errors: Counter[str] = field(default_factory=Counter)
    read_ms: list[float] = field(default_factory=list)
    jobs_done: int = 0
    worker_errors: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def product(number: int) -> bytes:
    return (b"product %d;" % number).ljust(PRODUCT_BYTES, b".")


def jobs_of(seconds: float) -> int:
    """The backlog: what the worker can do in four fifths of the time when nothing stops it."""
    return int(seconds * JOBS_PER_SECOND * 0.8)


def prepare(client: RespClient, seconds: float) -> None:
    """Empties Redis and puts the products and the backlog there."""
    commands = [encode("FLUSHALL"), encode("CONFIG", "RESETSTAT")]
    commands += [encode("SET", f"product:{n}", product(n)) for n in range(PRODUCTS)]
    commands += [encode("RPUSH", "queue:jobs", b"%07d" % n + b"." * JOB_BYTES)
                 for n in range(jobs_of(seconds))]
    client.send(b"".join(commands))
    for _ in commands:
        reply = client.reply()
        if isinstance(reply, RespError):
            raise ConnectionError(f"Redis would not take the data to start with: {reply}")


def ticks(plan: Plan, per_second: float, offset: float = 0.0,
          behind_max: float = 1.0) -> Iterator[None]:
    """Comes round so often a second until the run ends; what is late is made up for in bounds."""
    due = plan.start_at + offset / per_second
    while True:
        now = time.monotonic()
        if max(due, now) >= plan.end_at:
            return
        if due > now:
            time.sleep(due - now)
        yield
        due = max(due, time.monotonic() - behind_max / per_second) + 1 / per_second


def carts(writer: int, batch: int) -> bytes:
    first = writer * 10_000_000 + batch * BATCH
    value = b"%07d" % batch + b"v" * (VALUE_BYTES - 7)
    return b"".join(encode("SET", f"cart:{first + n}", value) for n in range(BATCH))


def write(plan: Plan, tally: Tally, live: "LiveCounts", number: int) -> None:
    with RespClient(plan.port, "checkout") as client:
        pace = ticks(plan, plan.carts_per_second / WRITERS / BATCH, number / WRITERS,
                     OUT_OF_STEP_BATCHES)
        for batch, _ in zip(range(plan.batches_max), pace):
            began = time.monotonic()
            client.send(carts(number, batch))
            for _ in range(BATCH):
                reply = client.reply()
                if isinstance(reply, RespError):
                    tally.write_errors[reply] += 1
                else:
                    tally.accepted += 1
            tally.write_ms.append((time.monotonic() - began) * 1000)
            live.set(number, tally)


def read(plan: Plan, tally: Tally, _live: "LiveCounts", number: int) -> None:
    chance = random.Random(number)
    with RespClient(plan.port, "catalogue") as client:
        for _ in ticks(plan, READS_PER_SECOND / READERS, number / READERS):
            wanted = chance.randrange(PRODUCTS)
            began = time.monotonic()
            reply = client.command("GET", f"product:{wanted}")
            tally.read_ms.append((time.monotonic() - began) * 1000)
            tally.reads += 1
            if isinstance(reply, RespError):
                tally.read_errors[reply] += 1
            elif reply != product(wanted):
                tally.read_errors["a wrong value"] += 1


def work(plan: Plan, tally: Tally, _live: "LiveCounts", _number: int) -> None:
    """Moves a job to the list of those in work, and takes it off there when it is done."""
    with RespClient(plan.port, "worker") as client:
        for _ in ticks(plan, JOBS_PER_SECOND):
            job = client.command("LMOVE", "queue:jobs", "queue:active", "LEFT", "RIGHT")
            if isinstance(job, RespError):
                tally.worker_errors[job] += 1
            elif isinstance(job, bytes):
                client.command("LREM", "queue:active", 1, job)
                tally.jobs_done += 1


class LiveCounts:
    """What the writers have reached so far, for the line of progress."""

    def __init__(self) -> None:
        self.cells = multiprocessing.RawArray("q", 2 * WRITERS)

    def set(self, number: int, tally: Tally) -> None:
        self.cells[2 * number] = tally.accepted
        self.cells[2 * number + 1] = sum(tally.write_errors.values())

    def read(self) -> tuple[int, int]:
        """Writes accepted, and writes refused."""
        cells = list(self.cells)
        return sum(cells[::2]), sum(cells[1::2])


Role = Callable[[Plan, Tally, LiveCounts, int], None]
ROLES: tuple[tuple[Role, int, str], ...] = (
    (write, WRITERS, "write_errors"), (read, READERS, "read_errors"), (work, 1, "worker_errors"))


def run_role(role: Role, count: int, errors: str, plan: Plan, live: LiveCounts,
             answer: Connection) -> None:
    """A process of its own: each of its connections has a thread and a tally."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    tallies = [Tally() for _ in range(count)]

    def connection(number: int) -> None:
        try:
            role(plan, tallies[number], live, number)
        except OSError as error:
            getattr(tallies[number], errors)[f"connection lost: {error}"] += 1

    threads = [threading.Thread(target=connection, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = Tally()
    for tally in tallies:
        total.add(tally)
    answer.send(total)


class Load:
    """All of it at once, in processes of its own; leaving the context ends them."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.live = plan, LiveCounts()
        self.parts: list[tuple[ForkProcess, Connection]] = []

    def __enter__(self) -> Load:
        context = multiprocessing.get_context("fork")
        for role, count, errors in ROLES:
            answer, sender = context.Pipe(duplex=False)
            process = context.Process(target=run_role, daemon=True,
                                      args=(role, count, errors, self.plan, self.live, sender))
            self.parts.append((process, answer))
            process.start()
            sender.close()
        return self

    def __exit__(self, *_: object) -> None:
        for process, answer in self.parts:
            if process.pid:
                process.kill()
                process.join()
            answer.close()

    def running(self) -> bool:
        return any(process.is_alive() and not answer.poll() for process, answer in self.parts)

    def result(self) -> Tally:
        total = Tally()
        for _, answer in self.parts:
            try:
                total.add(answer.recv())
            except EOFError:
                raise ConnectionError("a part of the load ended without a result") from None
        return total
