# TLS to clients and to the backend: who is let in, what is said when not, and that no byte is lost or late.
import socket
import ssl
import subprocess
import unittest

import redis as redis_py
from harness import MEMORY_FACTOR, SANITIZED, RedisServer, Spillway, free_port, until
from tls import Certificates, TlsRedis, TlsWire
from wire import Wire, encode


def setUpModule():
    global CERTIFICATES
    CERTIFICATES = Certificates()


class TlsTest(unittest.TestCase):
    """A Redis with TLS, and Spillway with TLS on both sides."""
    auth_clients, listener, backend = "no", {}, {}

    def setUp(self):
        self.redis = self.enterContext(TlsRedis(CERTIFICATES, self.auth_clients))
        self.spillway = self.enterContext(Spillway(
            self.redis, listener={**CERTIFICATES.listener(**self.listener), **self.options()},
            backend={**CERTIFICATES.backend(**self.backend), "connect_timeout": "2s"}))

    def options(self):
        return {}

    def wire(self, own=None, version=None, **options):
        wire = TlsWire(self.spillway.endpoint, CERTIFICATES.context(own, version), **options)
        self.addCleanup(wire.socket.close)
        return wire

    def plain(self):
        wire = Wire(self.spillway.endpoint)
        self.addCleanup(wire.socket.close)
        return wire

    def refused(self):
        return self.spillway.metric("spillway_client_connections_refused_total", reason="tls")


class BothSides(TlsTest):
    def test_commands_of_each_version(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            wire = self.wire(version=version)
            self.assertEqual(wire.command("SET", "k", "v"), "OK")
            self.assertEqual(wire.command("GET", "k"), b"v")
            self.assertEqual(wire.socket.version(), version.name.replace("_", "."))
        self.assertEqual(self.refused(), 0)

    def test_large_values_both_ways(self):
        value = bytes(range(256)) * (300 << 12)  # 300 MB
        self.redis.command("CONFIG", "SET", "proto-max-bulk-len", "1gb")
        wire = self.wire(timeout=60)
        wire.send(encode("SET", "k", value))
        self.assertEqual(wire.reply(), "OK")
        self.assertEqual(wire.command("STRLEN", "k"), len(value))
        self.assertTrue(wire.command("GET", "k") == value)
        self.assertLess(self.spillway.memory_kb("VmHWM"), MEMORY_FACTOR * 150_000)

    def test_a_pipeline_of_a_hundred_thousand(self):
        wire = self.wire(timeout=60)
        commands = b"".join(encode("INCR", "n") for _ in range(100_000))
        wire.send(commands)
        self.assertEqual([wire.reply() for _ in range(100_000)], list(range(1, 100_001)))

    def test_a_client_that_never_reads_costs_no_more_than_its_spool(self):
        self.redis.command("SET", "k", "x" * 1_000_000)
        wire = self.wire()
        for _ in range(150):
            wire.send(encode("GET", "k"))
        other = self.wire()
        for n in range(1000):
            self.assertEqual(other.command("INCR", "n"), n + 1)
        until("an end of it", lambda: self.spillway.metric("spillway_spool_overflows_total") == 1)
        self.assertLess(self.spillway.memory_kb("VmHWM"), MEMORY_FACTOR * 150_000)

    def test_a_backend_that_is_killed_within_a_reply(self):
        self.redis.command("SET", "k", "x" * 50_000_000)
        wire = self.wire()
        wire.send(encode("GET", "k"))
        begin = wire.take_exactly(1_000_000)
        self.redis.kill()
        rest = wire.read_to_end()
        self.assertTrue(begin.startswith(b"$50000000\r\nxxx"))
        self.assertLess(len(begin) + len(rest), 50_000_000)
        answer = self.wire().reply()
        self.assertIn("backend unavailable", answer)

    def test_records_of_a_byte_and_commands_byte_by_byte(self):
        wire = self.wire()
        for _ in range(3):
            wire.send(encode("SET", "k", "v" * 300) + encode("GET", "k"), "bytes")
            self.assertEqual([wire.reply(), wire.reply()], ["OK", b"v" * 300])

    def test_what_a_client_sent_before_it_went_reaches_the_backend(self):
        for n in range(20):
            wire = self.wire()
            wire.send(encode("SET", f"k{n}", "v" * 100_000))
            wire.socket.close()  # without a word by TLS, as most libraries do
        until("all of it", lambda: self.redis.command("DBSIZE") == 20)

    def test_quit_is_answered_and_the_end_is_said(self):
        wire = self.wire()
        wire.send(encode("QUIT"))
        self.assertEqual(wire.read_to_end(), b"+OK\r\n")

    def test_client_libraries(self):
        options = {"ssl": True, "ssl_ca_certs": CERTIFICATES["ca.pem"]}
        client = redis_py.Redis("localhost", self.spillway.port, **options)
        with client.pipeline() as pipe:
            for n in range(1000):
                pipe.set(f"key:{n}", n)
            self.assertEqual(pipe.execute(), [True] * 1000)
        self.assertEqual(client.get("key:7"), b"7")
        client.close()
        out = subprocess.run(["redis-cli", "--tls", "--cacert", CERTIFICATES["ca.pem"], "-p", str(self.spillway.port),
                              "GET", "key:8"], capture_output=True, timeout=15).stdout
        self.assertEqual(out, b"8\n")

    def test_a_resumed_session(self):
        context = CERTIFICATES.context(version=ssl.TLSVersion.TLSv1_2)
        first = TlsWire(self.spillway.endpoint, context)
        self.assertEqual(first.command("PING"), "PONG")
        session = first.socket.session
        first.socket.close()
        with Wire(self.spillway.endpoint) as wire:
            wire.socket = context.wrap_socket(wire.socket, server_hostname="localhost", session=session)
            self.assertTrue(wire.socket.session_reused)
            self.assertEqual(wire.command("PING"), "PONG")

    @unittest.skipIf(SANITIZED, "a sanitizer keeps what was freed")
    def test_idle_clients_own_little(self):
        wires = [self.wire() for _ in range(20)]
        before = self.spillway.memory_kb()
        wires += [self.wire() for _ in range(200)]
        for wire in wires:
            self.assertEqual(wire.command("PING"), "PONG")
        each = (self.spillway.memory_kb() - before) / 200
        self.assertLess(each, MEMORY_FACTOR * 120)


class WhatIsNoTls(TlsTest):
    def test_plain_redis_and_garbage_are_closed(self):
        for said in (b"PING\r\n", encode("PING"), b"GET / HTTP/1.1\r\n\r\n", bytes(5000), b"\x16\x03\x01\xff\xff" * 99):
            wire = self.plain()
            wire.send(said)
            wire.finish()
            self.assertNotIn(b"PONG", wire.read_to_end())
        self.assertEqual(self.refused(), 5)
        self.assertEqual(self.wire().command("PING"), "PONG")
        note = until("a record of it", lambda: [row for row in self.spillway.records() if "TLS: " in row["msg"]])[0]
        self.assertEqual(note["reason"], "the other side does not speak TLS")

    def test_who_says_nothing_is_counted_only_when_time_is_over(self):
        self.plain().socket.close()
        silent = self.plain()
        self.assertEqual(silent.read_to_end(), b"")  # after 10 s
        self.assertEqual(self.refused(), 1)
        until("nobody", lambda: self.spillway.metric("spillway_clients") == 0)

    def test_a_client_that_trusts_another_authority(self):
        with self.assertRaises(ssl.SSLError):
            TlsWire(self.spillway.endpoint, ssl.create_default_context())
        until("its count", lambda: self.refused() == 1)

    def test_a_tls_client_before_a_plain_port_sees_what_redis_does(self):
        with Spillway(self.redis.plain_url) as plain:
            for port in (self.redis.port, plain.port):
                # It waits for the end of a line, which a handshake need not have.
                with socket.create_connection(("localhost", port), timeout=1) as raw, self.assertRaises(OSError):
                    CERTIFICATES.context().wrap_socket(raw, server_hostname="localhost")

    def test_too_many_clients_are_closed_without_a_word(self):
        with Spillway(self.redis, listener={**CERTIFICATES.listener(), "max_clients": 1},
                      backend=CERTIFICATES.backend()) as one:
            with TlsWire(one.endpoint, CERTIFICATES.context()) as first:
                self.assertEqual(first.command("PING"), "PONG")
                with self.assertRaises(OSError):
                    TlsWire(one.endpoint, CERTIFICATES.context())
                self.assertEqual(first.command("PING"), "PONG")


class ClientCertificates(TlsTest):
    auth_clients = "yes"

    def setUp(self):
        self.listener = {"client_ca": CERTIFICATES["ca.pem"]}
        self.backend = CERTIFICATES.of("client")
        super().setUp()

    def test_both_sides_show_one(self):
        self.assertEqual(self.wire("client").command("PING"), "PONG")

    def test_none_and_a_stranger_s_are_refused_before_the_backend_hears_of_them(self):
        accepted = self.redis.info("stats")["total_connections_received"]
        for own in (None, "stranger"):
            with self.assertRaises(OSError):
                wire = self.wire(own)
                wire.socket.sendall(encode("PING"))
                if wire.socket.recv(100) == b"":
                    raise ConnectionResetError
        until("both counted", lambda: self.refused() == 2)
        self.assertEqual(self.redis.info("stats")["total_connections_received"], accepted)


class AnnouncedClients(TlsTest):
    def options(self):
        return {"proxy_protocol": "any"}

    def test_the_header_comes_before_the_handshake(self):
        header = b"PROXY TCP4 10.1.2.3 10.0.0.2 52110 6380\r\n"
        wire = self.wire(before=header)
        self.assertEqual(wire.command("CLIENT", "SETNAME", "me"), "OK")
        row, = (row for row in self.spillway.api("clients")["clients"] if row["name"] == "me")
        self.assertEqual(row["address"], "10.1.2.3:52110")

    def test_in_one_piece(self):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = CERTIFICATES.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            session.do_handshake()
        wire = self.plain()
        wire.send(b"PROXY UNKNOWN\r\n" + outgoing.read())
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.assertTrue(wire.fill())
                incoming.write(wire.take(len(wire.buffer)))
        session.write(encode("ECHO", "x" * 40_000))  # with the end of the handshake
        wire.send(outgoing.read())
        heard = b""
        while len(heard) < 40_010:
            try:
                heard += session.read(1 << 16)
            except ssl.SSLWantReadError:
                self.assertTrue(wire.fill())
                incoming.write(wire.take(len(wire.buffer)))
        self.assertEqual(heard, b"$40000\r\n" + b"x" * 40_000 + b"\r\n")


class TheBackendIsAnother(unittest.TestCase):
    def down(self, **tls):
        """What is said of a backend that cannot be spoken to: in the log, and to a client."""
        with TlsRedis(CERTIFICATES) as redis:
            url = tls.pop("url", redis.url).format(tls=redis.tls_port, plain=redis.port)
            with Spillway(url, ready=False, backend={"tls": tls, "connect_timeout": "1s"}) as spillway:
                reason = spillway.record("backend_down")["reason"]
                with Wire(spillway.endpoint) as wire:
                    return reason, wire.command("PING")

    def test_reasons(self):
        ca = CERTIFICATES["ca.pem"]
        refused = "TLS: the certificate is not accepted: "
        for tls, reason in (
                ({}, refused + "self-signed certificate in certificate chain"),
                ({"ca": CERTIFICATES["other_ca.pem"]}, refused + "self-signed certificate in certificate chain"),
                ({"ca": ca, "server_name": "other.test"}, refused + "hostname mismatch"),
                ({"ca": ca, "url": "rediss://127.0.0.2:{tls}"}, None),
                ({"ca": ca, "url": "rediss://127.0.0.1:{plain}"}, "TLS: ")):
            said, reply = self.down(**tls)
            if reason:
                self.assertIn(reason, said)
                self.assertIn("backend unavailable (" + reason, reply)
            else:  # nothing listens there
                self.assertIn("refused", said.lower())

    def test_the_name_asked_for_may_be_another_than_the_host(self):
        with TlsRedis(CERTIFICATES) as redis, \
                Spillway(f"rediss://127.0.0.1:{redis.tls_port}",
                         backend=CERTIFICATES.backend(server_name="redis.test")) as spillway:
            with Wire(spillway.endpoint) as wire:
                self.assertEqual(wire.command("PING"), "PONG")

    def test_a_backend_that_accepts_and_says_nothing(self):
        with socket.create_server(("127.0.0.1", 0)) as silent, \
                Spillway(f"rediss://127.0.0.1:{silent.getsockname()[1]}", ready=False,
                         backend={"connect_timeout": "300ms"}) as spillway:
            spillway.record("listening", role="listener")
            with Wire(spillway.endpoint) as wire:
                self.assertIn("backend unavailable (TLS: the handshake took too long)", wire.reply())


class Mixed(unittest.TestCase):
    """One side alone."""

    def test_plain_clients_before_a_tls_backend(self):
        with TlsRedis(CERTIFICATES) as redis, Spillway(redis, backend=CERTIFICATES.backend()) as spillway:
            with Wire(spillway.endpoint) as wire:
                wire.send(encode("SET", "k", "x" * 1_000_000) + encode("STRLEN", "k"))
                wire.finish()
                self.assertEqual(wire.read_to_end(), b"+OK\r\n:1000000\r\n")

    def test_tls_clients_before_a_plain_backend_beside_plain_ones(self):
        plain = free_port()
        with RedisServer() as redis:
            spillway = Spillway(redis, listener=CERTIFICATES.listener())
            spillway.config["listener"].append({"address": f"127.0.0.1:{plain}"})
            with spillway:
                with TlsWire(spillway.endpoint, CERTIFICATES.context()) as wire:
                    self.assertEqual(wire.command("SET", "k", "v"), "OK")
                with Wire(("127.0.0.1", plain)) as wire:
                    self.assertEqual(wire.command("GET", "k"), b"v")


if __name__ == "__main__":
    unittest.main()
