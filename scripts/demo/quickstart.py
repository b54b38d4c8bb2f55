# The show of scripts/quickstart: a burst straight at Redis, one through Spillway, then both to try.
from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Optional

from load import BATCH, VALUE_BYTES, Load, Plan, prepare
from report import MB, Report, Run, percent
from resp_client import RespClient, RespError, encode
from screen import Screen
from servers import Failure, Redis, Server, Spillway

MAXMEMORY = 64 * MB
SAMPLE_EVERY_S = 0.05
LATE_MAX_S = 15.0           # a run that is not over so long after its end is given up
OBSERVED_BATCHES_MAX = MAXMEMORY // (BATCH * VALUE_BYTES) + 1  # more than an empty Redis takes
RECORD_S, REVISION_S = 5.0, 2.5
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal asked this program to end."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def stop_on_signals() -> None:
    def handler(signum: int, _frame: Optional[FrameType]) -> NoReturn:
        for each in SIGNALS:  # what follows is only cleaning up, and is not interrupted
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(signum)

    for each in SIGNALS:
        signal.signal(each, handler)


class Show:
    """The parts of the demonstration in their order."""

    def __init__(self, screen: Screen, directory: Path, command: list[str], seconds: float) -> None:
        self.screen, self.directory, self.command = screen, directory, command
        self.seconds = seconds
        self.report = Report(screen)
        self.began = time.monotonic()

    def step(self, number: int, text: str) -> None:
        self.screen.heading(f"[{number}/5] {text}")

    def burst(self, title: str, port: int, monitor: RespClient, *servers: Server) -> Run:
        """One run of the load against a port, while memory is read straight from Redis."""
        plan = Plan(port, time.monotonic() + 0.5, self.seconds, MAXMEMORY)
        curve: list[tuple[float, float]] = []
        with Load(plan) as load:
            while load.running():
                moment = time.monotonic() - plan.start_at
                if moment > self.seconds + LATE_MAX_S:
                    raise Failure(f"The burst was not answered for {LATE_MAX_S:.0f} s. Is this "
                                  "machine very busy? Run scripts/quickstart again.")
                check_running(*servers)
                share = monitor.counted_bytes() / MAXMEMORY
                if 0 <= moment <= self.seconds:
                    curve.append((moment, share))
                    accepted, refused = load.live.read()
                    self.screen.progress(
                        f"  {moment:4.1f} of {self.seconds:.0f} s   memory {percent(share):>7} "
                        f"{self.screen.bar(share)}   writes {accepted:,}, refused {refused:,}")
                time.sleep(SAMPLE_EVERY_S)
            tally = load.result()
        run = Run(title, tally, curve, self.seconds)
        self.screen.line(f"  {self.seconds:.0f} s: {tally.accepted:,} writes accepted, "
                         f"{sum(tally.write_errors.values()):,} refused; "
                         f"memory ended at {percent(run.ended_at())}")
        return run

    def one_oom(self, spillway: Spillway) -> tuple[dict[str, Any], Optional[dict[str, Any]]]:
        """Lets Redis refuse a write, which the guard prevents; gives what the log says of it."""
        spillway.set_mode("observe")
        with RespClient(spillway.port, "checkout") as client:
            self.write_until_oom(client)
        spillway.set_mode("protect")
        deadline = time.monotonic() + RECORD_S
        while not (records := spillway.records("oom")):
            if time.monotonic() > deadline:
                raise Failure("Redis refused a write, and Spillway wrote no oom record about it "
                              f"within {RECORD_S:.0f} s. Its last lines:\n{spillway.last_lines()}")
            self.screen.progress("  waiting for the record in the log")
            time.sleep(SAMPLE_EVERY_S)
        # Within two seconds a fresher INFO may correct the cause.
        deadline = time.monotonic() + REVISION_S
        while time.monotonic() < deadline:
            if updates := [row for row in spillway.records("incident_updated")
                           if row.get("incident") == records[0].get("incident")]:
                return records[0], updates[-1]
            self.screen.progress("  waiting whether a fresh look corrects the cause")
            time.sleep(SAMPLE_EVERY_S)
        return records[0], None

    def write_until_oom(self, client: RespClient) -> None:
        value = b"v" * VALUE_BYTES
        for batch in range(OBSERVED_BATCHES_MAX):
            first = 900_000_000 + batch * BATCH
            client.send(b"".join(encode("SET", f"cart:{first + n}", value) for n in range(BATCH)))
            replies = [client.reply() for _ in range(BATCH)]
            self.screen.progress(f"  {(batch + 1) * BATCH:,} writes")
            if any(isinstance(reply, RespError) and reply.startswith("OOM ") for reply in replies):
                return
        raise Failure("In mode observe Redis took every write, though its memory should be full.")

    def run(self, servers: ExitStack) -> tuple[Redis, Spillway]:
        screen, report = self.screen, self.report
        self.step(3, "The burst, straight at Redis")
        redis = servers.enter_context(Redis(self.directory, MAXMEMORY))
        monitor = servers.enter_context(RespClient(redis.port))
        screen.line(f"  a Redis of {MAXMEMORY // MB} MB on port {redis.port}; it may not evict "
                    "anything (noeviction)")
        prepare(monitor, self.seconds)
        direct = self.burst("straight at Redis", redis.port, monitor, redis)

        self.step(4, "The same burst, through Spillway")
        prepare(monitor, self.seconds)
        spillway = servers.enter_context(Spillway(self.directory, self.command, redis.port))
        screen.line(f"  Spillway on port {spillway.port}, in front of that Redis, which was emptied"
                    " first")
        guarded = self.burst("through Spillway", spillway.port, monitor, redis, spillway)

        report.table(direct, guarded)
        report.errors(direct, guarded)
        report.chart(direct, guarded)
        report.in_short(direct, guarded)

        self.step(5, "One OOM, explained")
        screen.line("  The guard only looks on for a moment (mode observe), so that Redis itself")
        screen.line("  refuses a write. This is the record of it in Spillway's log, in words:")
        record, revised = self.one_oom(spillway)
        screen.line()
        report.record(record, revised)
        return redis, spillway

    def invite(self, redis: Redis, spillway: Spillway) -> None:
        """What to type now, with the ports of this time."""
        client = f"redis-cli -p {spillway.port}"
        admin = f"curl -s 127.0.0.1:{spillway.admin_port}"
        program = shlex.join(self.command)
        rows = [
            (f"{client} setrange cart:huge 9999999 x",
             "10 MB do not fit: refused, with the cause"),
            (f"{client} get product:7", "a read is never refused"),
            (f"{client} flushall", "makes room: now the first one works"),
            (f"http://127.0.0.1:{spillway.admin_port}", "the dashboard, in a browser"),
            (f"{admin}/api/v1/status", "how things stand"),
            (f"{admin}/api/v1/incidents", "the whole story of this burst"),
            (f"{admin}/metrics", "for Prometheus"),
            (f"tail -f {spillway.log}", ""),
            (f"cat {spillway.config}", ""),
        ]
        self.screen.heading("Both are running. In another terminal:")
        width = max(len(command) for command, remark in rows if remark)
        for command, remark in rows:
            said = self.screen.paint("# " + remark, "dim") if remark else ""
            self.screen.line(f"  {command.ljust(width)}  {said}".rstrip())
        self.screen.line()
        self.screen.line(f"  Redis itself is at port {redis.port}. In front of a Redis of yours:")
        self.screen.line(f"  {program} --backend redis://HOST:6379")
        self.screen.line()
        self.screen.line("Ctrl-C stops both and removes what they wrote.")


def check_running(*servers: Server) -> None:
    for server in servers:
        if not server.running():
            raise Failure(f"{server.name} has ended. Its last lines:\n{server.last_lines()}")


def watch(*servers: Server) -> NoReturn:
    """Until a signal comes, or one of the servers is gone."""
    while True:
        check_running(*servers)
        time.sleep(0.3)


def command_of(text: str) -> list[str]:
    """A command line; its program is found from here, whatever directory it is started in."""
    command = shlex.split(text)
    found = shutil.which(command[0]) if command else None
    if not found:
        raise Failure(f"there is no program {text!r}")
    return [str(Path(found).absolute()), *command[1:]]


def options_of(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--spillway", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--once", action="store_true")
    return parser.parse_args(arguments)


def say_last(screen: Screen, text: str) -> None:
    """How it ended, if there is still somebody to read it."""
    try:
        screen.line()
        screen.line(f"quickstart: {text}")
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: list[str]) -> int:
    options = options_of(arguments)
    sys.stdout.reconfigure(errors="replace")
    screen, tried_out = Screen(), False
    stop_on_signals()
    try:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(
                prefix="spillway-quickstart-", ignore_cleanup_errors=True)))
            show = Show(screen, directory, command_of(options.spillway), options.seconds)
            redis, spillway = show.run(stack)
            if not options.once:
                show.invite(redis, spillway)
                tried_out = True
                watch(redis, spillway)
    except Stopped as stopped:
        say_last(screen, "stopped; Redis and Spillway are gone, and so are their files")
        return 0 if tried_out else 128 + stopped.signum
    except Failure as failure:
        say_last(screen, str(failure))
        return 1
    except OSError as error:
        say_last(screen, f"a connection was lost ({error}). Run scripts/quickstart again.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
