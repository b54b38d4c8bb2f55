#!/usr/bin/env python3
# Compares what a request costs through Spillway, haproxy, nginx and twemproxy with a Redis that is asked directly.
import argparse
import csv
import io
import json
import os
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

sys.dont_write_bytecode = True

import lab  # noqa: E402, its import makes the modules of tests/integration known
import charts  # noqa: E402
from harness import Process, RedisServer, Spillway, free_port, until  # noqa: E402
from wire import Wire  # noqa: E402

DIRECT, SPILLWAY = "direct", "spillway"
KEYS = 10_000
# name: (what it is, requests, connections, pipeline, command, bytes of a value)
WORKLOADS = {
    "get": ("GET 64 B, 50 connections", 60_000, 50, 1, "GET", 64),
    "set": ("SET 64 B, 50 connections", 60_000, 50, 1, "SET", 64),
    "get16": ("GET 64 B, pipeline 16", 400_000, 50, 16, "GET", 64),
    "set16": ("SET 64 B, pipeline 16", 400_000, 50, 16, "SET", 64),
    "get16k": ("GET 16 KB, 50 connections", 30_000, 50, 1, "GET", 16_384),
    "set16k": ("SET 16 KB, 50 connections", 30_000, 50, 1, "SET", 16_384),
    "lone": ("GET 64 B, 1 connection", 20_000, 1, 1, "GET", 64),
}
HAPROXY = """\
global
  nbthread 1
  maxconn 4000
defaults
  mode tcp
  timeout connect 5s
  timeout client 10m
  timeout server 10m
listen redis
  bind 127.0.0.1:{port} backlog 4096
  server redis 127.0.0.1:{backend}
"""
NGINX = """\
{modules}worker_processes 1;
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log /dev/null crit;
events {{ worker_connections 4000; multi_accept on; }}
stream {{
  access_log off;
  tcp_nodelay on;
  proxy_timeout 1h;
  server {{ listen 127.0.0.1:{port} backlog=4096; proxy_pass 127.0.0.1:{backend}; }}
}}
"""
TWEMPROXY = """\
bench:
  listen: 127.0.0.1:{port}
  hash: fnv1a_64
  distribution: modula
  redis: true
  backlog: 4096
  preconnect: true
  server_connections: 1
  servers:
   - 127.0.0.1:{backend}:1
"""


class Peer(Process):
    """Another proxy with one worker and no log, in front of the same Redis."""

    PROGRAMS = {"haproxy": ("haproxy", HAPROXY), "nginx": ("nginx", NGINX), "twemproxy": ("nutcracker", TWEMPROXY)}

    def __init__(self, name, backend):
        super().__init__()
        self.name, self.backend, self.port = name, backend, free_port()
        program, self.text = self.PROGRAMS[name]
        self.program = program_of(program)

    def start(self):
        config = self.directory / "config"
        config.write_text(self.text.format(port=self.port, backend=self.backend, directory=self.directory,
                                           modules=nginx_modules(self.program) if self.name == "nginx" else ""))
        self.launch({"haproxy": [self.program, "-db", "-q", "-f", str(config)],
                     "nginx": [self.program, "-c", str(config), "-p", str(self.directory)],
                     "twemproxy": [self.program, "-c", str(config), "-v", "0", "-o", "/dev/null", "-m", "16384",
                                   "-a", "127.0.0.1", "-s", str(free_port())]}[self.name])
        until(f"an answer through {self.name}", self.answers)

    def answers(self):
        if not self.running():
            raise AssertionError(f"{self.name} ended at once: {(self.output() + self.output('out')).strip()[-300:]}")
        with Wire(("127.0.0.1", self.port), timeout=1) as wire:
            return wire.command("GET", "none") is None

    def stop(self):
        if self.running():
            self.child.terminate()
            self.child.wait(5)


def program_of(name):
    """Debian puts servers where not every user's PATH looks."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def nginx_modules(program):
    """The stream module may be a file of its own."""
    said = subprocess.run([program, "-V"], capture_output=True, text=True).stderr
    folder = next((word.split("=")[1] for word in said.split() if word.startswith("--modules-path=")), "")
    module = Path(folder, "ngx_stream_module.so")
    return f"load_module {module};\n" if module.exists() else ""


def cpu_us(pid):
    """Processor time of all threads so far, as the scheduler counts it."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1000


def fill(redis):
    for size in (64, 16_384):
        for first in range(0, KEYS, 500):
            redis.control.pipeline([("SET", f"k{size}:{n:012d}", "x" * size) for n in range(first, first + 500)])


def measure(target, redis, workload, scale):
    """One run of redis-benchmark: requests a second, latencies, and processor time a request of proxy and Redis."""
    _, requests, connections, pipeline, command, size = WORKLOADS[workload]
    requests = max(connections * pipeline, int(requests * scale))
    argv = ["redis-benchmark", "-p", str(target["port"]), "-c", str(connections), "-P", str(pipeline), "-n", str(requests),
            "-r", str(KEYS), "--csv", command, f"k{size}:__rand_int__", *(["x" * size] if command == "SET" else [])]
    pids = [target["pid"], redis.child.pid]
    before = [cpu_us(pid) if pid else 0 for pid in pids]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    after = [cpu_us(pid) if pid else 0 for pid in pids]
    rows = list(csv.DictReader(io.StringIO(ended.stdout[ended.stdout.find('"test"'):])))
    if not rows or ended.returncode:
        raise AssertionError(f"{target['name']}, {workload}: {(ended.stdout + ended.stderr).strip()[-300:]}")
    row = rows[-1]
    return {"rps": float(row["rps"]), "p50": float(row["p50_latency_ms"]), "p99": float(row["p99_latency_ms"]),
            "proxy_us": (after[0] - before[0]) / requests, "redis_us": (after[1] - before[1]) / requests}


def start_targets(stack, redis, options, say):
    """Those that are installed; what is not is said."""
    targets = [{"name": DIRECT, "port": redis.port, "pid": None}]
    proxy = stack.enter_context(Spillway(redis, binary=options.command, workers=1, guard={"mode": "protect"}))
    until("a guard that has seen memory", lambda: proxy.guard_state() == "plenty")
    targets.append({"name": SPILLWAY, "port": proxy.port, "pid": proxy.child.pid})
    for name in options.peers:
        if not program_of(Peer.PROGRAMS[name][0]):
            say(f"{name} is left out: it is not installed (scripts/deps --bench installs it)")
            continue
        try:
            peer = stack.enter_context(Peer(name, redis.port))
            targets.append({"name": name, "port": peer.port, "pid": peer.child.pid})
        except AssertionError as error:
            say(f"{name} is left out: {error}")
    return targets


def rounds_of(targets, redis, options, say):
    """{workload: {target: [a measurement of each round]}}; the order of targets changes with each round."""
    seen = {workload: {target["name"]: [] for target in targets} for workload in options.workloads}
    for number in range(options.rounds):
        for workload in options.workloads:
            at = number % len(targets)
            for target in targets[at:] + targets[:at]:
                seen[workload][target["name"]].append(measure(target, redis, workload, options.scale))
        say(f"round {number + 1} of {options.rounds}")
    return seen


def summary(cells):
    """Medians of one workload by target; ratios are of the same round, which what the machine does hits alike."""
    rows = {}
    for name, runs in cells.items():
        def ratio(key, to):
            values = [run[key] / other[key] for run, other in zip(runs, cells[to]) if other[key]]
            return statistics.median(values) if values else None
        row = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        rows[name] = {**row, "of_direct": ratio("rps", DIRECT), "cpu_of_spillway": ratio("proxy_us", SPILLWAY)}
    return rows


def print_table(results, coloured):
    head = ("workload", "through", "requests/s", "of direct", "p50 ms", "p99 ms", "CPU us/request", "of Spillway's")
    lines = []
    for workload, rows in results.items():
        for name, row in rows.items():
            own = name != DIRECT
            lines.append((WORKLOADS[workload][0] if not own else "", name, f"{row['rps']:,.0f}", f"{row['of_direct']:.2f}",
                          f"{row['p50']:.3f}", f"{row['p99']:.3f}", f"{row['proxy_us']:.2f}" if own else "-",
                          f"{row['cpu_of_spillway']:.2f}" if own else "-"))
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    for line in (head, *lines):
        if line[0]:
            print("-" * (sum(widths) + 2 * len(widths) - 2) if line is not head else "")
        text = "  ".join(cell.ljust(width) if column < 2 else cell.rjust(width)
                         for column, (cell, width) in enumerate(zip(line, widths)))
        print(f"\033[1m{text}\033[0m" if coloured and line[1] == SPILLWAY else text)


def chart_of(results):
    groups = {WORKLOADS[workload][0]: {name: row["proxy_us"] for name, row in rows.items() if name != DIRECT}
              for workload, rows in results.items()}
    return charts.bars_svg(groups, "us", "processor time a request, microseconds: less is better")


def options_of(arguments):
    parser = argparse.ArgumentParser(description="What a request costs through Spillway and through other proxies. "
                                                 "Everything shares one core, so that figures repeat.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="length of each run, of the usual one")
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS), choices=WORKLOADS, metavar="NAME",
                        help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--peers", nargs="*", default=list(Peer.PROGRAMS), choices=Peer.PROGRAMS, metavar="NAME",
                        help=f"of {', '.join(Peer.PROGRAMS)}")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="which core all share")
    parser.add_argument("--json", action="store_true", help="print the medians as JSON")
    parser.add_argument("--chart", metavar="FILE", help="write the processor times as SVG")
    parser.add_argument("--spillway", default=os.environ.get("SPILLWAY_BIN", str(lab.ROOT / "build/release/spillway")),
                        help="the program, or a command line [build/release/spillway]")
    options = parser.parse_args(arguments)
    options.command = [options.spillway] if Path(options.spillway).exists() else shlex.split(options.spillway)
    for program, remedy in ((options.command[0], "scripts/build"), ("redis-server", "scripts/deps --run"),
                            ("redis-benchmark", "scripts/deps --run")):
        if not shutil.which(program):
            parser.error(f"there is no program {program}; {remedy} makes it")
    return options


def main(arguments):
    options = options_of(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()

    def say(text):
        print(f"{time.monotonic() - began:5.0f} s  {text}", file=sys.stderr, flush=True)
    os.sched_setaffinity(0, {options.core})  # what is started from here on inherits it
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(maxmemory="2gb"))
        fill(redis)
        targets = start_targets(stack, redis, options, say)
        seen = rounds_of(targets, redis, options, say)
    results = {workload: summary(cells) for workload, cells in seen.items()}
    if options.chart:
        Path(options.chart).write_text(chart_of(results))
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        print_table(results, sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
