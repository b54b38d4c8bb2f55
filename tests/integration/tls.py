# Certificates made for one test run, servers that speak TLS, and clients that do.
import ssl
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import DEADLINE_S, RedisServer, free_port
from wire import Wire


class Certificates:
    """A folder of PEM files: authorities, leaves of theirs, and what is wrong with some."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="spillway-tls-")
        unittest.addModuleCleanup(self.folder.cleanup)
        self.authority("ca")
        self.authority("other_ca")
        self.leaf("server", names="DNS:localhost,DNS:redis.test,IP:127.0.0.1")
        self.leaf("client", names="DNS:client.test")
        self.leaf("stranger", authority="other_ca")
        self.leaf("old", days=-1)
        self.openssl("ec", "-in", self["server.key"], "-aes128", "-passout", "pass:secret", "-out", self["locked.key"])

    def __getitem__(self, name):
        return str(Path(self.folder.name) / name)

    def openssl(self, *args):
        done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, timeout=DEADLINE_S)
        if done.returncode:
            raise AssertionError(f"openssl {args}: {done.stderr}")

    def key(self, name):
        self.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self[name + ".key"])

    def authority(self, name):
        self.key(name)
        self.openssl("req", "-x509", "-key", self[name + ".key"], "-subj", f"/CN=Test {name}", "-days", 30,
                     "-out", self[name + ".pem"])

    def leaf(self, name, authority="ca", names="DNS:localhost,IP:127.0.0.1", days=30):
        """A key and a certificate; made anew where they exist, with another serial number."""
        self.key(name)
        Path(self[name + ".ext"]).write_text(f"subjectAltName={names}")
        self.openssl("req", "-new", "-key", self[name + ".key"], "-subj", f"/CN={name}", "-out", self[name + ".csr"])
        self.openssl("x509", "-req", "-in", self[name + ".csr"], "-CA", self[authority + ".pem"],
                     "-CAkey", self[authority + ".key"], "-CAcreateserial", "-days", days,
                     "-extfile", self[name + ".ext"], "-out", self[name + ".pem"])

    def of(self, name):
        """The keys of a listener's or a backend's tls table."""
        return {"cert": self[name + ".pem"], "key": self[name + ".key"]}

    def listener(self, **more):
        return {"tls": {**self.of("server"), **more}}

    def backend(self, **more):
        return {"tls": {"ca": self["ca.pem"], **more}}

    def context(self, own=None, version=None):
        """What a Python client needs to be sure of the server."""
        context = ssl.create_default_context(cafile=self["ca.pem"])
        if own:
            context.load_cert_chain(self[own + ".pem"], self[own + ".key"])
        if version:
            context.minimum_version = context.maximum_version = version
        return context


class TlsRedis(RedisServer):
    """A server that listens for TLS on a port of its own, beside the plain one that the harness uses."""

    def __init__(self, certificates, auth_clients="no", **settings):
        self.tls_port = free_port()
        super().__init__(tls_port=self.tls_port, tls_cert_file=certificates["server.pem"],
                         tls_key_file=certificates["server.key"], tls_ca_cert_file=certificates["ca.pem"],
                         tls_auth_clients=auth_clients, **settings)
        self.plain_url, self.url = self.url, f"rediss://localhost:{self.tls_port}"


class TlsWire(Wire):
    """A client's connection with TLS over it."""

    def __init__(self, endpoint, context, before=b"", **options):
        super().__init__(endpoint, **options)
        try:
            self.socket.sendall(before)
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        except OSError:
            self.socket.close()
            raise
