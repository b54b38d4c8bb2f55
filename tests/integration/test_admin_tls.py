# The admin address by TLS: who gets in, what is renewed, and what a change from another host needs.
import http.client
import json
import signal
import socket
import ssl
import time
import unittest
from pathlib import Path

from harness import DEADLINE_S, RedisServer, Spillway, toml, until
from tls import Certificates


def setUpModule():
    global CERTIFICATES, REDIS
    CERTIFICATES = Certificates()
    REDIS = RedisServer()
    unittest.addModuleCleanup(REDIS.__exit__, None, None, None)
    REDIS.__enter__()


def own_address():
    """An address of this host that is not loopback, or None; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


class AdminTls(unittest.TestCase):
    CLIENT_CA = False

    def setUp(self):
        CERTIFICATES.leaf("front")
        tls = CERTIFICATES.of("front") | ({"client_ca": CERTIFICATES["ca.pem"]} if self.CLIENT_CA else {})
        self.spillway = Spillway(REDIS, admin={"tls": tls, "token": "s3cret"})
        self.spillway.admin_tls = CERTIFICATES.context(own="client" if self.CLIENT_CA else None)
        self.enterContext(self.spillway)

    def raw(self):
        return socket.create_connection(("127.0.0.1", self.spillway.admin_port), DEADLINE_S)

    def reload(self):
        self.spillway.config_path.write_text(toml(self.spillway.config))
        answer = self.spillway.request("POST", "/api/v1/reload", headers={"Authorization": "Bearer s3cret"})
        return json.loads(answer[1])


class Served(AdminTls):
    def test_pages_metrics_and_changes(self):
        self.assertEqual(self.spillway.api("status")["guard"]["mode"], "protect")
        self.assertIn("<html", self.spillway.get("/")[1])
        self.assertEqual(self.spillway.metric("spillway_clients"), 0)
        body = json.dumps({"mode": "observe"})
        self.assertEqual(self.spillway.request("POST", "/api/v1/mode", body)[0], 401)
        answer = self.spillway.request("POST", "/api/v1/mode", body, {"Authorization": "Bearer s3cret"})
        self.assertEqual(answer[0], 200, answer)
        self.assertEqual(self.spillway.api("status")["guard"]["mode"], "observe")

    def test_requests_in_a_row_and_at_once(self):
        """More than one TLS record of answers, while the client reads late."""
        connection = self.spillway.admin_tls.wrap_socket(self.raw(), server_hostname="localhost")
        with connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20
                               + b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            received = bytearray()
            while piece := connection.recv(65536):
                received += piece
        self.assertEqual(received.count(b"HTTP/1.1 200 OK\r\n"), 21)
        self.assertTrue(received.endswith(b"alive\n"), received[-80:])

    def test_who_speaks_plain_http_is_told(self):
        plain = http.client.HTTPConnection("127.0.0.1", self.spillway.admin_port, timeout=DEADLINE_S)
        plain.request("GET", "/livez")
        answer = plain.getresponse()
        self.assertEqual(answer.status, 400)
        self.assertIn("https://", answer.read().decode())
        plain.close()

    def test_garbage_and_silence_hold_up_nobody(self):
        with self.raw() as silent, self.raw() as garbage:
            garbage.sendall(b"\x16\x03\x01\xff\xff" + b"\xa5" * 70_000)
            self.assertEqual(self.spillway.get("/livez")[0], 200)
            try:
                garbage.shutdown(socket.SHUT_WR)
                while garbage.recv(65536):
                    pass
            except OSError:
                pass
            silent.settimeout(DEADLINE_S)
            self.assertEqual(silent.recv(1), b"")  # its handshake is late
        self.assertEqual(self.spillway.get("/livez")[0], 200)

    def test_an_open_connection_does_not_hold_up_the_end(self):
        with self.spillway.admin_tls.wrap_socket(self.raw(), server_hostname="localhost") as idle, self.raw() as silent:
            idle.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertIn(b"200 OK", idle.recv(65536))
            began = time.monotonic()
            self.spillway.child.send_signal(signal.SIGTERM)
            self.assertEqual(self.spillway.child.wait(DEADLINE_S), 0)
            self.assertLess(time.monotonic() - began, 4)
            self.assertEqual(silent.recv(1), b"")

    def test_certificates_are_renewed_by_a_reload(self):
        def serial():
            with self.spillway.admin_tls.wrap_socket(self.raw(), server_hostname="localhost") as wire:
                return wire.getpeercert()["serialNumber"]

        before = serial()
        CERTIFICATES.leaf("front")
        self.assertEqual(serial(), before)
        self.assertIn("admin.tls.cert", self.reload()["new_connections"])
        self.assertNotEqual(serial(), before)
        Path(CERTIFICATES["front.key"]).write_text("nothing")
        problem, = self.reload()["problems"]
        self.assertRegex(problem, r"spillway\.toml:\d+:\d+: admin\.tls\.key: .*holds no private key")
        self.assertNotIn("PRIVATE", self.spillway.get("/api/v1/config")[1])

    def test_it_is_put_on_and_taken_off(self):
        tls = self.spillway.config["admin"].pop("tls")
        self.assertNotIn("problems", self.reload())
        context, self.spillway.admin_tls = self.spillway.admin_tls, None
        self.assertEqual(self.spillway.get("/livez")[0], 200)
        self.spillway.config["admin"]["tls"] = tls
        self.assertNotIn("problems", self.reload())
        self.spillway.admin_tls = context
        self.assertEqual(self.spillway.get("/livez")[0], 200)


class ClientCertificates(AdminTls):
    CLIENT_CA = True

    def test_only_those_of_the_authority_get_in(self):
        self.assertEqual(self.spillway.get("/livez")[0], 200)
        for own in (None, "stranger"):
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                with CERTIFICATES.context(own=own).wrap_socket(self.raw(), server_hostname="localhost") as wire:
                    wire.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    if not wire.recv(1):
                        raise ConnectionError("closed")


class OtherHosts(unittest.TestCase):
    @unittest.skipUnless(own_address(), "this host has no address but loopback")
    def test_a_change_in_the_clear_is_refused(self):
        """Asked from an address of this host that others could have as well."""
        body, token = json.dumps({"mode": "observe"}), {"Authorization": "Bearer s3cret"}
        spillway = Spillway(REDIS, ready=False, admin={"token": "s3cret"})
        spillway.config["admin"]["address"] = f"0.0.0.0:{spillway.admin_port}"
        with spillway:
            until("a ready Spillway", spillway.is_ready)
            spillway.admin_host = own_address()
            self.assertEqual(spillway.get("/metrics")[0], 200)
            status, answer, _ = spillway.request("POST", "/api/v1/mode", body, token)
            self.assertEqual(status, 403)
            self.assertIn("admin.tls.cert", answer)
            spillway.admin_host = "127.0.0.1"
            self.assertEqual(spillway.api("status")["guard"]["mode"], "protect")
            self.assertEqual(spillway.request("POST", "/api/v1/mode", body, token)[0], 200)
            spillway.admin_tls = CERTIFICATES.context()
            spillway.config["admin"]["tls"] = CERTIFICATES.of("server")
            spillway.config_path.write_text(toml(spillway.config))
            spillway.child.send_signal(signal.SIGHUP)
            spillway.record("config_reloaded")
            self.assertEqual(spillway.api("status")["guard"]["mode"], "protect")


if __name__ == "__main__":
    unittest.main()
