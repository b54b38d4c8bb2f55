# A listener behind a load balancer that announces clients with the PROXY protocol, versions 1 and 2.
import socket
import struct
import unittest

from harness import RedisServer, Spillway, free_port, until
from test_guard import GuardTest
from tls import Certificates
from wire import Wire, encode

V2_BEGIN = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 10.1.2.3 10.0.0.2 52110 6380\r\n"


def v2(command, family, block=b""):
    return V2_BEGIN + struct.pack(">BBH", command, family, len(block)) + block


def v4_block(host, port):
    return socket.inet_aton(host) + socket.inet_aton("10.0.0.2") + struct.pack(">HH", port, 6380)


class ProxyHeaderTest(GuardTest):
    def setUp(self):
        self.redis = self.enterContext(RedisServer())
        self.spillway = Spillway(self.redis, listener={"proxy_protocol": "any"},
                                 backend={"connect_timeout": "300ms"})
        self.plain = ("127.0.0.1", free_port())
        self.spillway.config["listener"].append({"address": "%s:%d" % self.plain})
        self.enterContext(self.spillway)

    def address(self, name):
        """What /api/v1/clients calls the client of this name."""
        rows = [row for row in self.spillway.api("clients")["clients"] if row["name"] == name]
        return rows[0]["address"]

    def connected(self, header, name, split="whole"):
        wire = self.wire()
        wire.send(header, split)
        self.assertEqual(wire.command("CLIENT", "SETNAME", name), "OK")
        return wire

    def refused(self):
        return self.spillway.metric("spillway_client_connections_refused_total", reason="proxy_header")


class Announced(ProxyHeaderTest):
    def test_the_client_has_its_own_address(self):
        ipv6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16) + struct.pack(">HH", 7, 6380)
        unix = b"/run/app.sock".ljust(216, b"\0")
        for name, header, address in (
                ("one", V1, "10.1.2.3:52110"),
                ("one6", b"PROXY TCP6 2001:db8::9 ::1 9 6380\r\n", "[2001:db8::9]:9"),
                ("two", v2(0x21, 0x11, v4_block("10.9.8.7", 4242)), "10.9.8.7:4242"),
                ("two6", v2(0x21, 0x21, ipv6), "[2001:db8::7]:7"),
                ("unix", v2(0x21, 0x31, unix), "unix:/run/app.sock"),
                ("tlv", v2(0x21, 0x11, v4_block("10.9.8.6", 1) + b"\x04\0\x64" + bytes(100)), "10.9.8.6:1")):
            for split in ("whole", "bytes"):
                wire = self.connected(header, name, split)
                self.assertEqual(self.address(name), address)
                wire.socket.close()
                until("its end", lambda: not self.spillway.api("clients")["clients"])
        self.assertEqual(self.refused(), 0)

    def test_the_balancer_speaks_for_itself(self):
        for name, header in (("local", v2(0x20, 0)), ("unknown", b"PROXY UNKNOWN\r\n")):
            wire = self.connected(header, name)
            self.assertEqual(self.address(name), "127.0.0.1:%d" % wire.socket.getsockname()[1])

    def test_commands_behind_the_header_in_one_piece(self):
        wire = self.wire()
        wire.send(V1 + encode("SET", "k", "x" * 100_000) + encode("STRLEN", "k"))
        self.assertEqual([wire.reply(), wire.reply()], ["OK", 100_000])

    def test_half_closed_at_once(self):
        wire = self.wire()
        wire.send(V1 + encode("ECHO", "hello"))
        wire.finish()
        self.assertEqual(wire.read_to_end(), b"$5\r\nhello\r\n")

    def test_records_name_the_client(self):
        wire = self.connected(V1, "writer")
        self.redis.command("CONFIG", "SET", "maxmemory", 1)
        self.assertTrue(wire.command("SET", "k", 1).startswith("OOM "))
        self.assertEqual(self.spillway.record("oom")["client"]["addr"], "10.1.2.3:52110")

    def test_another_listener_wants_none(self):
        with Wire(self.plain) as wire:
            self.assertEqual(wire.command("PING"), "PONG")


class Refused(ProxyHeaderTest):
    def test_what_is_no_header(self):
        bad = [encode("PING"), b"PING\r\n", b"PROXY TCP4 10.1.2.3 nowhere 1 2\r\n", b"PROXY " + b"x" * 200,
               v2(0x21, 0x11, b"short"), v2(0x21, 0x11, bytes(5000)), V2_BEGIN + b"\x11\x11\0\0"]
        for header in bad:
            wire = self.wire()
            wire.send(header)
            self.assertEqual(wire.read_to_end(), b"", header[:40])
        self.assertEqual(self.refused(), len(bad))
        notes = until("a note", lambda: [row for row in self.spillway.records("note") if "PROXY" in row["msg"]])
        self.assertEqual(len(notes), 1)  # and not one a connection
        self.assertTrue(notes[0]["peer"].startswith("127.0.0.1:"))

    def test_half_a_header_and_silence(self):
        wire = self.wire()
        wire.send(V1[:10])
        self.assertEqual(wire.read_to_end(), b"")
        until("why", lambda: [row for row in self.spillway.records("note") if "within connect_timeout" in row["msg"]])

    def test_half_a_header_and_the_end(self):
        wire = self.wire()
        wire.send(V1[:10])
        wire.finish()
        self.assertEqual(wire.read_to_end(), b"")
        self.assertEqual(self.refused(), 1)

    def test_a_check_that_only_connects_is_no_fault(self):
        before = self.spillway.metric("spillway_client_connections_total")
        self.wire().socket.close()
        until("its end", lambda: self.spillway.metric("spillway_client_connections_total") > before
              and self.spillway.metric("spillway_clients") == 0)
        self.assertEqual(self.refused(), 0)

    def test_no_backend_is_dialled_before_the_header(self):
        before = self.redis.info("stats")["total_connections_received"]
        for _ in range(5):
            wire = self.wire()
            wire.send(b"nonsense")
            wire.read_to_end()
        self.assertEqual(self.redis.info("stats")["total_connections_received"], before)


class PassedOn(unittest.TestCase):
    """One Spillway before another, which learns who the clients of the first are."""

    def chain(self, version, accepted=None, tls=None):
        redis = self.enterContext(RedisServer())
        security = {"listener": tls.listener(), "backend": tls.backend()} if tls else {"listener": {}, "backend": {}}
        self.rear = self.enterContext(Spillway(redis, listener={"proxy_protocol": accepted or version,
                                                                **security["listener"]}))
        url = f"rediss://localhost:{self.rear.port}" if tls else self.rear.url
        self.front = Spillway(url, backend={"send_proxy": version, **security["backend"]},
                              listener={"proxy_protocol": "v1"}, ready=accepted in (None, version))
        self.enterContext(self.front)

    def test_the_client_of_the_first_is_known_to_the_second(self):
        for version, tls in (("v1", None), ("v2", None), ("v2", Certificates())):
            self.chain(version, tls=tls)
            with Wire(self.front.endpoint) as wire:
                wire.send(V1 + encode("CLIENT", "SETNAME", "app") + encode("GET", "k"))
                self.assertEqual((wire.reply(), wire.reply()), ("OK", None))
                rows = {row["name"]: row["address"] for row in self.rear.api("clients")["clients"]}
                self.assertEqual(rows["app"], "10.1.2.3:52110")
                # The monitor of the first speaks for itself.
                monitor = next(address for name, address in rows.items() if name.startswith("spillway"))
                self.assertTrue(monitor.startswith("127.0.0.1:"), rows)
            self.assertEqual(self.rear.metric("spillway_client_connections_refused_total"), 0)

    def test_a_server_that_takes_no_header(self):
        redis = self.enterContext(RedisServer())
        front = self.enterContext(Spillway(redis, backend={"send_proxy": "v1"}, ready=False))
        until("it to be noticed", lambda: front.get("/readyz")[0] == 503 and front.records("backend_down"))
        self.assertIn("PROXY", front.records("backend_down")[0]["msg"])
        # Nobody gets the reply to what was asked before.
        with Wire(front.endpoint) as wire:
            wire.send(encode("GET", "a") + encode("GET", "b"))
            self.assertEqual(wire.read_to_end(), b"-ERR spillway: backend unavailable (it takes no PROXY header, "
                                                 b"and backend.send_proxy is set)\r\n")

    def told(self, url, **backend):
        """What a client hears once the monitor has tried."""
        front = self.enterContext(Spillway(url, backend={"send_proxy": "v2", **backend}, ready=False))
        front.record("backend_down")
        with Wire(front.endpoint) as wire:
            return wire.read_to_end().decode()

    def test_clients_hear_why_it_is_not_there(self):
        self.assertIn("(Connection refused)", self.told(f"redis://127.0.0.1:{free_port()}"))
        redis = self.enterContext(RedisServer())
        certificates = Certificates()
        text = self.told(redis.url.replace("redis:", "rediss:"), **certificates.backend())
        self.assertRegex(text, r"\(TLS: .*\)")


class ClientsOfOneHost(GuardTest):
    TOO_MANY = b"-ERR max number of clients reached\r\n"

    def setUp(self):
        self.redis = self.enterContext(RedisServer())
        self.spillway = self.enterContext(Spillway(self.redis, listener={"max_clients_per_host": 3,
                                                                         "proxy_protocol": "v1"}))

    def announced(self, host):
        wire = self.wire()
        wire.send(b"PROXY TCP4 %s 10.0.0.2 52110 6380\r\n" % host)
        return wire

    def refused(self):
        return self.spillway.metric("spillway_client_connections_refused_total", reason="max_clients_per_host")

    def test_are_no_more_than_allowed(self):
        wires = [self.announced(b"10.0.0.1") for _ in range(3)]
        self.assertEqual([wire.command("PING") for wire in wires], ["PONG"] * 3)
        self.assertEqual(self.announced(b"10.0.0.1").read_to_end(), self.TOO_MANY)
        self.assertEqual(self.announced(b"10.0.0.9").command("PING"), "PONG")
        self.assertEqual(self.refused(), 1)
        until("a note", lambda: "max_clients_per_host" in "".join(row["msg"] for row in self.spillway.records("note")))
        wires[0].socket.close()
        until("room for another", lambda: self.announced(b"10.0.0.1").command("PING") == "PONG")

    def test_one_more_than_the_listener_takes_is_told_of(self):
        with Spillway(self.redis, listener={"max_clients": 1}) as spillway, Wire(spillway.endpoint) as first:
            self.assertEqual(first.command("PING"), "PONG")
            with Wire(spillway.endpoint) as second:
                self.assertEqual(second.read_to_end(), self.TOO_MANY)
                port = second.socket.getsockname()[1]
            until("a note", lambda: any(f"127.0.0.1:{port}" in row["msg"] and "max_clients" in row["msg"]
                                        for row in spillway.records("note")))

    def test_hundreds_that_come_and_go_leave_room(self):
        for _ in range(60):
            wires = [self.announced(b"10.0.0.1") for _ in range(8)]
            for wire in wires:
                wire.socket.close()
        def three():
            wires = [self.announced(b"10.0.0.1") for _ in range(3)]
            try:
                return all(wire.command("PING") == "PONG" for wire in wires)
            finally:
                for wire in wires:
                    wire.socket.close()
        until("room for three", three)


if __name__ == "__main__":
    unittest.main()
