# Speaks RESP over a raw socket: exact bytes out in chosen pieces, exact bytes or parsed replies in.
import random
import shlex
import socket
import struct

TIMEOUT_S = 15.0


class ErrorReply(str):
    """An error reply's line without its type byte and CRLF."""


class Push(list):
    """A RESP3 out-of-band frame."""


def encode(*args):
    """One command as a RESP array; every argument is str, bytes or a number."""
    out = [b"*%d\r\n" % len(args)]
    for arg in args:
        data = arg if isinstance(arg, bytes) else str(arg).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(out)


def encode_line(line):
    """A command written as a shell-quoted line."""
    return encode(*shlex.split(line))


def pieces(data, split, seed=1):
    """Cuts data: "whole", "bytes" (one each for the first 4 KB) or "random" (given by the seed)."""
    if split == "whole":
        return [data]
    if split == "bytes":
        near, far = data[:4096], data[4096:]
        return [near[i:i + 1] for i in range(len(near))] + [far[i:i + 997]
                                                            for i in range(0, len(far), 997)]
    chance, out, at = random.Random(seed), [], 0
    while at < len(data):
        size = chance.choice((1, 2, 3, 5, 17, 400, 5000))
        out.append(data[at:at + size])
        at += size
    return out


class Wire:
    """One client connection. `endpoint` is a (host, port) pair or the path of a unix socket."""

    def __init__(self, endpoint, timeout=TIMEOUT_S):
        family = socket.AF_UNIX if isinstance(endpoint, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(endpoint)
        except OSError:
            self.socket.close()
            raise
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.ended = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data, split="whole", seed=1):
        """Sends every piece, until the peer closes: what it says about that is read afterwards."""
        try:
            for piece in pieces(data, split, seed):
                self.socket.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def finish(self):
        """Half-closes: no more requests, replies still wanted."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self):
        """Closes so that the peer sees a reset, not an orderly end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def fill(self):
        """Reads once into the buffer; false at the end of the stream, orderly or reset."""
        if self.ended:
            return False
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        self.ended = not data
        return not self.ended

    def take(self, count):
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def take_exactly(self, count):
        while len(self.buffer) < count:
            if not self.fill():
                raise ConnectionError(f"closed with {len(self.buffer)} of {count} bytes")
        return self.take(count)

    def take_line(self):
        at = 0
        while (end := self.buffer.find(b"\r\n", at)) < 0:
            at = max(len(self.buffer) - 1, 0)
            if not self.fill():
                raise ConnectionError(f"closed inside a line: {bytes(self.buffer[:200])!r}")
        return self.take(end + 2)[:-2]

    def read_until(self, mark):
        """All that has come once `mark` is among it, or at the stream's end."""
        searched = 0
        while self.buffer.find(mark, searched) < 0:
            searched = max(0, len(self.buffer) - len(mark))
            if not self.fill():
                break
        return self.take(len(self.buffer))

    def read_to_end(self):
        while self.fill():
            pass
        return self.take(len(self.buffer))

    def reply(self):
        """The next frame as a Python value; errors come back as ErrorReply, pushes as Push."""
        line = self.take_line()
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            return ErrorReply(rest.decode("utf-8", "replace"))
        if kind in b"+,(":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"#":
            return rest == b"t"
        if kind == b"_" or rest == b"-1":
            return None
        if kind in b"$=":
            body = self.take_exactly(int(rest) + 2)[:-2]
            return body if kind == b"$" else body[4:]
        if kind in b"*~>%":
            count = int(rest) * (2 if kind == b"%" else 1)
            items = [self.reply() for _ in range(count)]
            return Push(items) if kind == b">" else items
        raise ValueError(f"unknown reply type {line!r}")

    def command(self, *args):
        self.send(encode(*args))
        return self.reply()

    def pipeline(self, commands):
        """Sends all commands at once, then reads one reply each."""
        self.send(b"".join(encode(*command) for command in commands))
        return [self.reply() for _ in commands]
