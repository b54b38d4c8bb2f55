# Starts the demonstration's own Redis and Spillway on free ports, and stops them.
from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

from resp_client import RespClient

START_ATTEMPTS = 3          # a free port may be taken by another program before ours binds it
START_S, STOP_S = 10.0, 3.0
SHOWN_LINES = 8

CONFIG = """\
# Spillway's defaults, but for the addresses, a log in JSON and one rule.
[[listener]]
address = "127.0.0.1:{port}"

[backend]
url = "redis://127.0.0.1:{redis_port}"

[admin]
address = "127.0.0.1:{admin_port}"

[log]
format = "json"
file = "{log}"

[[guard.rule]]                 # the worker that takes jobs off the queue goes on when room is short
name = "queue-worker"
commands = ["LMOVE"]
keys = ["queue:*"]
priority = "critical"
"""


class Failure(Exception):
    """Something of the demonstration did not work; the text says what, and what to do."""


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in sockets]
    finally:
        for probe in sockets:
            probe.close()


class Server:
    """A child with its output in a file. It ends when this process ends, however that happens."""

    name = "server"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.outputs = [directory / f"{self.name}.out"]
        self.child: Optional[subprocess.Popen[bytes]] = None

    def __enter__(self) -> Any:
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                self.start()
                return self
            except Failure:
                self.stop()
                if attempt == START_ATTEMPTS or "in use" not in self.last_lines():
                    raise
            except BaseException:
                self.stop()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        raise NotImplementedError

    def launch(self, argv: Sequence[str]) -> None:
        # A session of its own keeps Ctrl-C from it: it is stopped in order instead.
        bound = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with open(self.outputs[0], "wb") as output:
            self.child = subprocess.Popen([*bound, *argv], cwd=self.directory, stdout=output,
                                          stderr=output, stdin=subprocess.DEVNULL,
                                          start_new_session=True)

    def running(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def wait_until(self, ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if not self.running():
                raise Failure(f"{self.name} ended at once. Its last lines:\n{self.last_lines()}")
            try:
                if ready():
                    return
            except (OSError, http.client.HTTPException, ValueError):
                pass
            time.sleep(0.02)
        raise Failure(f"{self.name} did not {what} within {START_S:.0f} s. Its last lines:\n"
                      f"{self.last_lines()}")

    def last_lines(self) -> str:
        texts = [path.read_text(errors="replace") for path in self.outputs if path.exists()]
        lines = "".join(texts).splitlines()
        return "\n".join(f"    {line}" for line in lines[-SHOWN_LINES:]) or "    (nothing)"

    def stop(self) -> None:
        if self.child is None:
            return
        if self.running():
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.child.kill()
        self.child.wait()
        self.child = None


class Redis(Server):
    """redis-server with little memory, which may neither evict nor write to the disk."""

    name = "redis-server"

    def __init__(self, directory: Path, maxmemory: int) -> None:
        super().__init__(directory)
        self.maxmemory, self.port = maxmemory, 0

    def start(self) -> None:
        binary = shutil.which("redis-server")
        if not binary:
            raise Failure("redis-server is not installed. Install it with: scripts/deps --run")
        self.port, = free_ports(1)
        self.launch([binary, "--bind", "127.0.0.1", "--port", str(self.port),
                     "--maxmemory", str(self.maxmemory), "--maxmemory-policy", "noeviction",
                     "--save", "", "--appendonly", "no", "--dir", str(self.directory)])
        self.wait_until(self.answers, "answer")

    def answers(self) -> bool:
        with RespClient(self.port, timeout_s=1.0) as client:
            return client.command("PING") == b"PONG"


class Spillway(Server):
    """The program in front of that Redis, with a log of JSON records."""

    name = "spillway"

    def __init__(self, directory: Path, command: Sequence[str], redis_port: int) -> None:
        super().__init__(directory)
        self.command, self.redis_port = list(command), redis_port
        self.port = self.admin_port = 0
        self.log, self.config = directory / "spillway.log", directory / "spillway.toml"
        self.outputs.append(self.log)

    def start(self) -> None:
        self.port, self.admin_port = free_ports(2)
        self.config.write_text(CONFIG.format(port=self.port, admin_port=self.admin_port,
                                             redis_port=self.redis_port, log=self.log))
        try:
            self.launch([*self.command, "-c", str(self.config)])
        except OSError as error:
            raise Failure(f"{self.command[0]} cannot be run: {error.strerror}") from None
        self.wait_until(self.ready, "get ready")

    def ready(self) -> bool:
        """It listens, Redis answered, and the guard has seen how full it is."""
        if self.request("GET", "/readyz")[0] != 200:
            return False
        gauges = self.request("GET", "/metrics")[1].splitlines()
        return 'spillway_guard_state{state="plenty"} 1' in gauges

    def request(self, method: str, path: str, body: Optional[str] = None) -> tuple[int, str]:
        """Status and text of an answer of the admin port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=5)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()

    def set_mode(self, mode: str) -> None:
        status, text = self.request("POST", "/api/v1/mode", json.dumps({"mode": mode}))
        if status != 200:
            raise Failure(f"Spillway would not change to mode {mode}: {status} {text.strip()}")

    def records(self, event: str) -> list[dict[str, Any]]:
        """The complete records of one event in the log, oldest first."""
        if not self.log.exists():
            return []
        text = self.log.read_text(errors="replace")
        rows = [json.loads(line) for line in text.splitlines(True) if line.endswith("}\n")]
        return [row for row in rows if row.get("event") == event]
