# Starts real Redis servers and the Spillway under test, watches them, and stops them by pid.
import functools
import http.client
import json
import os
import random
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
from pathlib import Path

from wire import ErrorReply, Wire

ROOT = Path(__file__).resolve().parents[2]
PUMP = [sys.executable, str(Path(__file__).with_name("pump.py"))]
DEADLINE_S = 15.0
# A sanitizer needs memory of its own for each byte of the program's, and keeps freed memory back: bounds are this much wider.
SANITIZED = os.environ.get("SPILLWAY_SANITIZE", "")
MEMORY_FACTOR = 4 if "address" in SANITIZED else 3 if "thread" in SANITIZED else 1
REDIS, VALKEY = "redis-server", "valkey-server"
GONE = (ConnectionError, TimeoutError, FileNotFoundError, http.client.HTTPException)


def spillway_command():
    """The program under test: $SPILLWAY_BIN (a path or a command line), else the dev build."""
    named = os.environ.get("SPILLWAY_BIN", str(ROOT / "build/dev/spillway"))
    return [named] if Path(named).exists() else shlex.split(named)


def until(what, probe, seconds=DEADLINE_S):
    """Polls until probe() returns something true and gives it back; fails naming what never came."""
    deadline, pause = time.monotonic() + seconds, 0.0002
    while True:
        try:
            if value := probe():
                return value
        except GONE:
            pass
        if time.monotonic() > deadline:
            raise AssertionError(f"within {seconds} s there was never {what}")
        time.sleep(pause)
        pause = min(2 * pause, 0.005)


def port_blocks():
    """Blocks of ports below those that the kernel gives to outgoing connections, each held by a socket on its first."""
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    firsts = list(range(10_000, max(ephemeral, 30_000) - PORT_BLOCK, PORT_BLOCK))
    random.SystemRandom().shuffle(firsts)  # test processes that start together ask for different ones
    for first in firsts:
        holder = socket.socket()
        try:
            holder.bind(("127.0.0.1", first))
            HELD.append(holder)
            yield from range(first + 1, first + PORT_BLOCK)
        except OSError:
            holder.close()


def free_port():
    """A port that nobody has, that no other test process can be told of, and that this one was not told of before."""
    for port in PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue  # of another program
    raise AssertionError("there is no free port")


PORT_BLOCK, HELD = 50, []
PORTS = port_blocks()


def more_files(count):
    """Raises this process's soft limit of open files, for tests with many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def toml(table, path=""):
    """A nested dict as TOML; JSON's scalars and lists of them are written alike in both."""
    lines, tables = [], []
    for key, value in table.items():
        name = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            tables += [f"[{name}]", toml(value, name)]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for row in value:
                tables += [f"[[{name}]]", toml(row, name)]
        else:
            lines.append(f"{key} = {json.dumps(value)}")
    return "\n".join(lines + tables)


class Process:
    """A child with a directory of its own, both gone when the context ends."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="spillway-test-"))
        self.child = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            if self.child and self.child.poll() is None:
                self.child.kill()
                self.child.wait()
            shutil.rmtree(self.directory, ignore_errors=True)

    def launch(self, argv, **options):
        with open(self.directory / "out", "ab") as out, open(self.directory / "err", "ab") as err:
            self.child = subprocess.Popen(argv, cwd=self.directory, stdin=subprocess.DEVNULL,
                                          stdout=out, stderr=err, **options)

    def running(self):
        return self.child is not None and self.child.poll() is None

    def output(self, name="err"):
        path = self.directory / name
        return path.read_text(errors="replace") if path.exists() else ""

    def kill(self, signum=signal.SIGKILL):
        self.child.send_signal(signum)
        self.child.wait(DEADLINE_S)

    def memory_kb(self, field="VmRSS"):
        """A line of /proc/PID/status in KB; VmHWM is the highest resident size so far."""
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise KeyError(field)

    def open_files(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    def cpu_seconds(self):
        """Processor time used so far, by the program and in the kernel for it."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class RedisServer(Process):
    """redis-server, or a server like it, on a free port without persistence; settings are its directives, _ for -."""

    def __init__(self, port=None, password=None, binary=REDIS, **settings):
        super().__init__()
        self.binary = binary
        self.port = port or free_port()
        self.endpoint = ("127.0.0.1", self.port)
        self.unix_path = str(self.directory / "redis.sock")
        self.password = password
        auth = f":{password}@" if password else ""
        self.url = f"redis://{auth}127.0.0.1:{self.port}"
        self.settings = settings
        self.control = None

    def start(self):
        argv = [self.binary, "--port", str(self.port), "--unixsocket", self.unix_path,
                "--save", "", "--bind", "127.0.0.1"]
        for name, value in self.settings.items():
            argv += ["--" + name.replace("_", "-"), *map(str, value if isinstance(value, tuple) else (value,))]
        if self.password:
            argv += ["--requirepass", self.password]
        self.launch(argv)
        until(f"a {self.binary} that answers", lambda: self.running() and self.connect())

    def connect(self):
        self.disconnect()
        self.control = Wire(self.endpoint)
        if self.password:
            self.control.command("AUTH", self.password)
        return self.control.command("PING") == "PONG"

    def disconnect(self):
        if self.control:
            self.control.socket.close()
            self.control = None

    def command(self, *args):
        """Runs a command over the harness's own connection, past Spillway."""
        answer = self.control.command(*args)
        if isinstance(answer, ErrorReply):
            raise AssertionError(f"redis refused {args[:3]}: {answer}")
        return answer

    def info(self, section="everything"):
        rows = self.command("INFO", section).decode().splitlines()
        return dict(row.split(":", 1) for row in rows if ":" in row)

    def used_memory(self):
        return int(self.info("memory")["used_memory"])

    def counted(self):
        """What Redis compares with maxmemory."""
        memory = self.info("memory")
        return int(memory["used_memory"]) - int(memory["mem_not_counted_for_evict"])

    def fill(self, share, size=10_000, prefix="fill:"):
        """Writes values, past Spillway, until `share` of maxmemory is used, or the server refuses or
        evicts; gives how many."""
        target, keys = int(share * int(self.info("memory")["maxmemory"])), 0
        while (missing := target - self.counted()) > size and keys * size < target:
            batch = range(keys, keys + max(1, min(500, int(missing / size / 1.2))))
            replies = self.control.pipeline([("SET", f"{prefix}{n}", "x" * size) for n in batch])
            keys += sum(reply == "OK" for reply in replies)
            if replies[-1] != "OK":
                break
        return keys

    def calls(self, name):
        """How often the server ran a command (subcommands as "config|get")."""
        row = self.info("commandstats").get("cmdstat_" + name, "calls=0,")
        return int(row.split("calls=")[1].split(",")[0])

    def oom_errors(self):
        """How often the server has refused a command for memory."""
        row = self.info("errorstats").get("errorstat_OOM", "count=0")
        return int(row.split("=")[1])

    def clients(self):
        """CLIENT LIST as dicts, without the harness's own connection."""
        own = str(self.command("CLIENT", "ID"))
        rows = self.command("CLIENT", "LIST").decode().splitlines()
        rows = [dict(pair.split("=", 1) for pair in row.split(" ")) for row in rows]
        return [row for row in rows if row["id"] != own]

    def stop(self):
        self.disconnect()
        if self.running():
            self.child.kill()
            self.child.wait(DEADLINE_S)


@functools.cache
def is_newer(binary):
    """Whether a server is of a later series than the one that the tables of cases were written for."""
    written_for = {REDIS: (7, 0), VALKEY: (8, 1)}
    if not shutil.which(binary):
        return False
    told = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = re.search(r"\bv=(\d+)\.(\d+)", told).groups()
    return (int(major), int(minor)) > written_for[binary]


class OnValkey:
    """Runs the tests of a class that names its server in `binary` before Valkey instead; left out where there is none."""
    binary = VALKEY

    @classmethod
    def setUpClass(cls):
        if not shutil.which(VALKEY):
            raise unittest.SkipTest(f"{VALKEY} is not installed")
        super().setUpClass()


class Spillway(Process):
    """The proxy with a configuration file of its own. `backend` is anything with a url, or a URL."""

    def __init__(self, backend, /, binary=None, env=None, ready=True, flags=(), **sections):
        super().__init__()
        self.port, self.admin_port = free_port(), free_port()
        self.endpoint = ("127.0.0.1", self.port)
        self.url = f"redis://127.0.0.1:{self.port}"
        self.binary = binary or spillway_command()
        self.env = dict(os.environ, **(env or {}))
        self.ready, self.flags = ready, list(flags)
        self.admin_host, self.admin_tls = "127.0.0.1", None  # an ssl.SSLContext where the admin address speaks TLS
        self.config_path = self.directory / "spillway.toml"
        listener = {"address": f"127.0.0.1:{self.port}", **sections.pop("listener", {})}
        if listener["address"].startswith("unix:"):
            self.endpoint = listener["address"][len("unix:"):]
        admin = {"address": f"127.0.0.1:{self.admin_port}", **sections.pop("admin", {})}
        url = backend if isinstance(backend, str) else backend.url
        self.config = {"workers": 2, "drain_timeout": "2s", "listener": [listener],
                       "backend": {"url": url, **sections.pop("backend", {})}, "admin": admin,
                       "log": {"format": "json", **sections.pop("log", {})}, **sections}

    def start(self):
        self.config_path.write_text(toml(self.config) + "\n")
        self.launch([*self.binary, "-c", str(self.config_path), *self.flags], env=self.env)
        if self.ready:
            until("a ready Spillway", self.is_ready)

    def is_ready(self):
        if not self.running():
            raise AssertionError(f"spillway ended ({self.child.returncode}): {self.output()[-2000:]}")
        return self.get("/readyz")[0] == 200

    def request(self, method, path, body=None, headers=None):
        """(status, body, headers) of one admin request."""
        if self.admin_tls:
            connection = http.client.HTTPSConnection("localhost", self.admin_port, timeout=DEADLINE_S,
                                                     context=self.admin_tls)
        else:
            connection = http.client.HTTPConnection(self.admin_host, self.admin_port, timeout=DEADLINE_S)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            connection.close()

    def get(self, path):
        return self.request("GET", path)

    def api(self, path):
        """A JSON document of the admin API."""
        status, body, _ = self.get("/api/v1/" + urllib.parse.quote(path))
        if status != 200:
            raise AssertionError(f"/api/v1/{path} answered {status}: {body[:300]}")
        return json.loads(body)

    def metrics(self):
        """{'name{labels}': value} of /metrics."""
        rows = [row for row in self.get("/metrics")[1].splitlines() if row and row[0] != "#"]
        return {name: float(value) for name, value in (row.rsplit(" ", 1) for row in rows)}

    def metric(self, name, **labels):
        """Sum over every series of that name whose labels include the given ones."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(value for series, value in self.metrics().items()
                   if series.split("{")[0] == name and all(label in series for label in wanted))

    def records(self, event=None, **fields):
        """The log's JSON records so far, those of one event, with these fields."""
        complete = self.output().rpartition("\n")[0].splitlines()
        rows = [json.loads(line) for line in complete if line]
        return [row for row in rows if event in (None, row.get("event"))
                and all(row.get(key) == value for key, value in fields.items())]

    def record(self, event, seconds=DEADLINE_S, **fields):
        """The first such record, waited for."""
        return until(f"a record {event} {fields}", lambda: self.records(event, **fields), seconds)[0]

    def guard_state(self):
        """The state whose series of spillway_guard_state is 1."""
        for series, value in self.metrics().items():
            if series.startswith("spillway_guard_state{") and value == 1:
                return series.split('state="')[1].split('"')[0]
        return None

    def wait_state(self, *states):
        return until(f"guard state {states}", lambda: self.guard_state() in states)

    def stop(self):
        """SIGTERM must end it with 0, and its log must be nothing but records."""
        if self.child is None:
            return
        if self.running():
            self.child.terminate()
            self.child.wait(DEADLINE_S)
        code, self.child = self.child.returncode, None
        if code != 0:
            raise AssertionError(f"spillway exited with {code}: {self.output()[-3000:]}")
        if self.config["log"]["format"] == "json" and "file" not in self.config["log"]:
            self.records()
