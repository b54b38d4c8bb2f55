# A small Redis client on a plain socket: it sends prepared bytes and reads RESP2 replies.
from __future__ import annotations

import socket
from typing import Union


class RespError(str):
    """An error reply, as a value: the text after the minus sign."""


Reply = Union[bytes, int, None, RespError, list["Reply"]]
Argument = Union[bytes, str, int]


def encode(*arguments: Argument) -> bytes:
    """One command as Redis reads it."""
    parts = [argument if isinstance(argument, bytes) else str(argument).encode()
             for argument in arguments]
    heads = (b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"*%d\r\n" % len(parts) + b"".join(heads)


class RespClient:
    """A connection to a port of this machine. A peer that is silent for too long is an OSError."""

    def __init__(self, port: int, name: str = "", timeout_s: float = 10.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")
        if name:
            self.command("CLIENT", "SETNAME", name)

    def __enter__(self) -> RespClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.close()
        self.socket.close()

    def send(self, commands: bytes) -> None:
        self.socket.sendall(commands)

    def reply(self) -> Reply:
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection was closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return RespError(rest.decode("utf-8", "replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.exactly(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]
        raise ConnectionError(f"not a reply: {line[:40]!r}")

    def exactly(self, count: int) -> bytes:
        data = self.reader.read(count)
        if len(data) < count:
            raise ConnectionError("the connection was closed")
        return data

    def command(self, *arguments: Argument) -> Reply:
        self.send(encode(*arguments))
        return self.reply()

    def info(self, section: str) -> dict[str, str]:
        """The fields of one section of INFO."""
        text = self.command("INFO", section)
        if not isinstance(text, bytes):
            raise ConnectionError(f"INFO answered {text!r}")
        rows = text.decode().splitlines()
        return dict(row.split(":", 1) for row in rows if ":" in row)

    def counted_bytes(self) -> int:
        """The memory that Redis compares with maxmemory."""
        memory = self.info("memory")
        return int(memory["used_memory"]) - int(memory["mem_not_counted_for_evict"])
