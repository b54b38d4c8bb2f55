# A transparent byte pump in Spillway's place, and on request a faulty one: shows what the tests can tell apart.
import os
import random
import signal
import socket
import socketserver
import sys
import threading
import tomllib
import urllib.parse

FAULTS = ("", "chop", "drop", "flip", "repeat", "swap", "early_close", "no_close", "edit_request")


def rewrite_replies(fault):
    """A function from a chunk of replies to the pieces that are sent instead."""
    chance, first = random.Random(1), [True]

    def rewrite(data):
        fresh, first[0] = first[0], False
        if fault == "chop":  # not a fault: the same bytes, cut anew
            while data:
                size = chance.choice((1, 1, 2, 3, 7, 64, 1500, 30000))
                yield data[:size]
                data = data[size:]
        elif fresh and fault == "drop":
            yield data[:-1]
        elif fresh and fault == "flip":
            yield data[:-1] + bytes([data[-1] ^ 1])
        elif fresh and fault == "repeat":
            yield data + data[-1:]
        elif fresh and fault == "swap":
            yield data[len(data) // 2:] + data[:len(data) // 2]
        else:
            yield data
    return rewrite


def rewrite_requests(fault):
    def rewrite(data):
        yield data.replace(b"\r\nGET\r\n", b"\r\nDEL\r\n") if fault == "edit_request" else data
    return rewrite


def copy(source, target, rewrite):
    """Copies to the end of the stream; false if the sender broke off instead of ending it."""
    try:
        while data := source.recv(1 << 17):
            for piece in rewrite(data):
                try:
                    target.sendall(piece)
                except OSError:
                    return True  # the other direction may still have something to deliver
        return True
    except OSError:
        return False


def end(target):
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def connect(url):
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "unix":
        backend = socket.socket(socket.AF_UNIX)
        backend.connect(parts.path)
        return backend
    backend = socket.create_connection((parts.hostname, parts.port))
    backend.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return backend


def serve(client, url, fault):
    if client.family == socket.AF_INET:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    backend = connect(url)

    def upward():
        orderly = copy(client, backend, rewrite_requests(fault))
        if orderly and fault != "early_close":
            end(backend)
        else:  # a reset client is gone: so must its backend connection be
            backend.shutdown(socket.SHUT_RDWR)

    requests = threading.Thread(target=upward, daemon=True)
    requests.start()
    copy(backend, client, rewrite_replies(fault))
    if fault == "no_close":
        requests.join()
    end(client)
    requests.join()
    backend.close()
    client.close()


def listen(address, handle):
    """Serves each connection to `address` in a thread of its own."""
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            try:
                handle(self.request)
            except OSError:
                pass

    unix = address.startswith("unix:")
    base = socketserver.ThreadingUnixStreamServer if unix else socketserver.ThreadingTCPServer
    server_class = type("Server", (base,), {"daemon_threads": True, "request_queue_size": 1024,
                                            "allow_reuse_address": True, "block_on_close": False})
    host, _, port = address.rpartition(":")
    server = server_class(address[len("unix:"):] if unix else (host, int(port)), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def answer_admin(client):
    client.recv(65536)
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def main():
    with open(sys.argv[sys.argv.index("-c") + 1], "rb") as file:
        config = tomllib.load(file)
    url, fault = config["backend"]["url"], os.environ.get("PUMP_FAULT", "")
    if fault not in FAULTS:
        sys.exit(f"unknown fault {fault}; known: {FAULTS}")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    for listener in config["listener"]:
        listen(listener["address"], lambda client: serve(client, url, fault))
    listen(config["admin"]["address"], answer_admin)
    signal.sigwait({signal.SIGTERM})
    os._exit(0)


main()
