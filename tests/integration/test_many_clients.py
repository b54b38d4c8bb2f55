# Ten thousand clients at once, and thousands that come and go.
import os
import random
import resource
import socket
import struct
import time
import unittest

from harness import MEMORY_FACTOR, SANITIZED, RedisServer, Spillway, more_files, until
from wire import encode

CLIENTS = 10_000
CHURN_S = 60 if os.environ.get("SPILLWAY_TEST_LONG") else 4
CHURN_PER_S = 1000


class ManyClients(unittest.TestCase):
    def start(self, count):
        """As many Spillways at one address as `count` clients take: two descriptors each, here and there."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        more_files(most)
        self.redis = self.enterContext(RedisServer(maxclients=CLIENTS + 100, maxmemory="1gb"))
        first, self.spillways = None, []
        for _ in range(-(-count // (most // 2 - 200))):
            shared = {"address": "%s:%d" % first.endpoint} if first else {}
            spillway = self.enterContext(Spillway(self.redis, listener={"max_clients": CLIENTS + 100, **shared},
                                                  backend={"connect_timeout": "10s"}))
            first = first or spillway
            self.spillways.append(spillway)
        self.endpoint = first.endpoint
        self.files = self.total(Spillway.open_files)

    def total(self, what):
        return sum(what(spillway) for spillway in self.spillways)

    def clients(self):
        return self.total(lambda spillway: spillway.metric("spillway_clients"))

    def assert_all_given_back(self):
        until("no client left", lambda: self.clients() == 0)
        until("no backend connection left", lambda: len(self.redis.clients()) < 5)
        until("every descriptor given back",
              lambda: self.total(Spillway.open_files) <= self.files + 2 * len(self.spillways))

    def test_at_once(self):
        count = CLIENTS if not SANITIZED else 1000
        self.start(count)
        before = self.total(Spillway.memory_kb)
        clients = []
        for _ in range(count):
            clients.append(socket.create_connection(self.endpoint))
        for number, client in enumerate(clients):
            client.sendall(encode("SET", f"k:{number}", number) + encode("GET", f"k:{number}"))
        for number, client in enumerate(clients):
            wanted = b"+OK\r\n$%d\r\n%d\r\n" % (len(str(number)), number)
            got = b""
            while len(got) < len(wanted):
                self.assertTrue(piece := client.recv(100), f"client {number} was cut")
                got += piece
            self.assertEqual(got, wanted)
        self.assertEqual(self.clients(), count)
        self.assertLess((self.total(Spillway.memory_kb) - before) / count, 6 * MEMORY_FACTOR, "KB a client")
        cpu, began = self.total(Spillway.cpu_seconds), time.monotonic()
        until("a second in which nobody does anything", lambda: time.monotonic() - began > 1)
        self.assertLess((self.total(Spillway.cpu_seconds) - cpu) / (time.monotonic() - began), 0.1 * MEMORY_FACTOR)
        for client in clients:
            client.close()
        self.assert_all_given_back()

    def test_that_come_and_go(self):
        self.start(1000)
        chance, served, standing = random.Random(7), 0, []
        end = time.monotonic() + CHURN_S
        while served < CHURN_PER_S * CHURN_S or time.monotonic() < end:
            client = socket.create_connection(self.endpoint)
            standing.append(client)
            client.sendall(encode("ECHO", served))
            served += 1
            if len(standing) < 50:
                continue
            client, number = standing.pop(0), served - 50
            self.assertEqual(client.recv(100), b"$%d\r\n%d\r\n" % (len(str(number)), number))
            leaves = chance.choice(("close", "reset", "quit", "amid"))
            if leaves == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif leaves == "quit":
                client.sendall(encode("QUIT"))
                self.assertEqual(client.recv(100), b"+OK\r\n")
            elif leaves == "amid":
                client.sendall(encode("GET", "k") * 20 + b"*3\r\n$3\r\nSET\r\n$1\r\nk")
            client.close()
        for client in standing:
            client.close()
        self.assert_all_given_back()
        self.assertEqual(self.redis.command("EXISTS", "k"), 0)


if __name__ == "__main__":
    unittest.main()
