# Certificates are renewed while clients are served; what `spillway check` and `spillway doctor` say of TLS.
import json
import signal
import subprocess
import threading
import unittest
from pathlib import Path

from harness import RedisServer, Spillway, spillway_command, toml, until
from test_clients import node_modules, run
from tls import Certificates, TlsRedis, TlsWire
from wire import Wire, encode


def setUpModule():
    global CERTIFICATES
    CERTIFICATES = Certificates()


class Renewal(unittest.TestCase):
    def setUp(self):
        CERTIFICATES.leaf("front")
        self.redis = self.enterContext(TlsRedis(CERTIFICATES))
        self.spillway = self.enterContext(Spillway(
            self.redis, listener={"tls": CERTIFICATES.of("front")}, backend=CERTIFICATES.backend()))

    def wire(self):
        return TlsWire(self.spillway.endpoint, CERTIFICATES.context())

    def serial(self):
        """Which certificate a new client is shown."""
        with self.wire() as wire:
            return wire.socket.getpeercert()["serialNumber"]

    def reload(self):
        """By POST; its answer."""
        self.spillway.config_path.write_text(toml(self.spillway.config))
        return json.loads(self.spillway.request("POST", "/api/v1/reload")[1])

    def test_under_load_no_reply_is_lost(self):
        stop, counts, failures = threading.Event(), [0] * 4, []

        def keep_writing(n):
            try:
                while not stop.is_set():
                    with self.wire() as wire:
                        for _ in range(30):
                            replies = wire.pipeline([("INCR", f"n{n}")] * 20)
                            counts[n] += 20
                            if replies[-1] != counts[n]:
                                raise AssertionError(f"{replies} is not up to {counts[n]}")
            except Exception as failure:
                failures.append(repr(failure))

        writers = [threading.Thread(target=keep_writing, args=(n,)) for n in range(4)]
        with self.wire() as standing:
            for writer in writers:
                writer.start()
            for round in range(10):
                before = self.serial()
                CERTIFICATES.leaf("front")
                self.spillway.child.send_signal(signal.SIGHUP)
                until("the new certificate", lambda: self.serial() != before)
                self.assertEqual(standing.command("INCR", "standing"), round + 1)
            stop.set()
            for writer in writers:
                writer.join(15)
        self.assertEqual(failures, [])
        self.assertEqual([int(self.redis.command("GET", f"n{n}")) for n in range(4)], counts)
        self.assertEqual(len(self.spillway.records("config_reloaded")), 10)
        self.assertIn("listener[0].tls.cert", self.spillway.records("config_reloaded")[0]["new_connections"])

    def test_a_bad_file_changes_nothing_and_is_named(self):
        serial = self.serial()
        good = Path(CERTIFICATES["front.key"]).read_text()
        for text, reason in (("nothing", "holds no private key (PEM)"),
                             (Path(CERTIFICATES["client.key"]).read_text(), "is not the key of the certificate in"),
                             (None, "cannot open: No such file or directory")):
            path = Path(CERTIFICATES["front.key"])
            path.write_text(text) if text else path.unlink()
            problem, = self.reload()["problems"]
            self.assertRegex(problem, r"spillway\.toml:\d+:\d+: listener\[0\]\.tls\.key: ")
            self.assertIn(f"{path}: {reason}", problem)
            self.assertEqual(self.serial(), serial)
        path.write_text(good)
        self.assertNotIn("problems", self.reload())
        self.assertEqual(self.spillway.metric("spillway_config_reloads_total", result="rejected"), 3)
        self.assertNotIn("PRIVATE", self.spillway.output())
        self.assertNotIn("PRIVATE", self.spillway.get("/api/v1/config")[1])

    def test_a_listener_and_a_backend_change_over(self):
        with Spillway(self.redis.plain_url) as spillway:
            self.spillway = spillway
            with Wire(spillway.endpoint) as before:
                self.assertEqual(before.command("INCR", "n"), 1)
                spillway.config["listener"][0]["tls"] = CERTIFICATES.of("front")
                spillway.config["backend"].update(url=self.redis.url, **CERTIFICATES.backend())
                self.assertNotIn("problems", self.reload())
                until("a way by TLS", self.leads_to_tls)
                with self.wire() as after:
                    self.assertEqual(before.command("INCR", "n"), 2)
                    self.assertEqual(after.command("INCR", "n"), 3)
                until("samples", lambda: spillway.get("/readyz")[0] == 200)
            del spillway.config["listener"][0]["tls"], spillway.config["backend"]["tls"]
            spillway.config["backend"]["url"] = self.redis.plain_url
            self.assertNotIn("problems", self.reload())
            with Wire(spillway.endpoint) as plain:
                self.assertEqual(plain.command("INCR", "n"), 4)

    def leads_to_tls(self):
        with self.wire() as wire:
            return f"laddr=127.0.0.1:{self.redis.tls_port} " in wire.command("CLIENT", "INFO").decode()

    def test_an_expired_one_works_and_is_warned_of(self):
        self.spillway.config["listener"][0]["tls"] = CERTIFICATES.of("old")
        warning, = self.reload()["warnings"]
        self.assertIn("expired on", warning)
        note, = until("a warning", lambda: [row for row in self.spillway.records() if "expired on" in row["msg"]])
        self.assertEqual(note["level"], "warn")
        self.assertIn("listener[0].tls.cert", note["msg"])

    def test_the_start_warns_of_it_too(self):
        with Spillway(self.redis, listener={"tls": CERTIFICATES.of("old")}, backend=CERTIFICATES.backend()) as spillway:
            note, = (row for row in spillway.records() if "expired on" in row["msg"])
        self.assertEqual(note["level"], "warn")


class Programs(unittest.TestCase):
    def spillway(self, *args):
        return subprocess.run([*spillway_command(), *map(str, args)], capture_output=True, text=True, timeout=60)

    def check(self, text):
        path = Path(CERTIFICATES["spillway.toml"])
        path.write_text(text)
        return self.spillway("check", "-c", path)

    def test_check(self):
        def listener(cert, key):
            return f'[[listener]]\ntls.cert = "{CERTIFICATES[cert]}"\ntls.key = "{CERTIFICATES[key]}"\n'
        done = self.check(listener("server.pem", "server.key"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("tls.cert = ", done.stdout)
        self.assertNotIn("BEGIN", done.stdout)
        done = self.check(listener("old.pem", "old.key"))
        self.assertEqual(done.returncode, 0)
        self.assertIn("warning: listener[0].tls.cert: " + CERTIFICATES["old.pem"] + ": expired on ", done.stderr)
        for text, problem in (
                (listener("none.pem", "server.key"), ":2:12: listener[0].tls.cert: " + CERTIFICATES["none.pem"]
                 + ": cannot open: No such file or directory\n"),
                (listener("server.pem", "client.key"), ":3:11: listener[0].tls.key: " + CERTIFICATES["client.key"]
                 + ": is not the key of the certificate in " + CERTIFICATES["server.pem"] + "\n"),
                (listener("server.pem", "locked.key"), ": the key is encrypted, and nobody is asked for its passphrase"),
                (f'[backend]\nurl = "rediss://h"\ntls.ca = "{CERTIFICATES["server.key"]}"\n',
                 ":3:10: backend.tls.ca: " + CERTIFICATES["server.key"] + ": holds no certificate (PEM)\n"),
                (listener("server.pem", "server.key") + 'tls.ciphers = "NONE"\n', "listener[0].tls.ciphers: names no")):
            done = self.check(text)
            self.assertEqual((done.returncode, done.stdout), (2, ""), text)
            self.assertIn(problem, done.stderr)

    def test_doctor(self):
        with TlsRedis(CERTIFICATES, auth_clients="yes") as redis:
            ca, own = ("--ca", CERTIFICATES["ca.pem"]), ("--cert", CERTIFICATES["client.pem"],
                                                         "--key", CERTIFICATES["client.key"])
            done = self.spillway("doctor", redis.url, *ca, *own, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["state"], "healthy")
            for args, said in (((), "TLS: the certificate is not accepted: self-signed certificate in certificate chain"),
                               (ca, "certificate required"),
                               ((*ca, *own, "--server-name", "other"), "hostname mismatch"),
                               (("--ca", "/none.pem"), "/none.pem: cannot open")):
                done = self.spillway("doctor", redis.url, *args)
                self.assertIn(done.returncode, (1, 2))
                self.assertIn(said, done.stderr)

    def test_node_clients(self):
        modules = node_modules()
        program = """
            const fs = require("fs"), [port, ca] = process.argv.slice(1);
            const tls = {ca: fs.readFileSync(ca), host: "localhost", servername: "localhost"};
            (async () => {
                const io = new (require("ioredis"))({port, host: "localhost", tls});
                const replies = await Promise.all([...Array(5000).keys()].map(n => io.incrby("n", 1)));
                if (replies.some((reply, n) => reply !== n + 1)) throw Error("out of order");
                await io.set("k", Buffer.alloc(3000000, "x"));
                await io.quit();
                const node = require("redis").createClient({socket: {port, host: "localhost", tls: true, ca: tls.ca}});
                await node.connect();
                console.log((await node.get("k")).length, await node.get("n"));
                await node.quit();
            })().catch(error => { console.error(error); process.exit(1); });
        """
        with RedisServer() as redis, Spillway(redis, listener=CERTIFICATES.listener()) as spillway:
            out = run(["node", "-e", program, spillway.port, CERTIFICATES["ca.pem"]],
                      env={"NODE_PATH": str(modules), "PATH": "/usr/local/bin:/usr/bin:/bin"})
        self.assertEqual(out, "3000000 5000\n")


if __name__ == "__main__":
    unittest.main()
