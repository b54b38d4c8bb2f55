# The files that an operator starts from: each is valid, and Sentinel's script follows a failover.
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from harness import Process, RedisServer, Spillway, free_port, spillway_command, until
from wire import Wire

PACKAGING = pathlib.Path(__file__).resolve().parents[2] / "packaging"
EXAMPLES = PACKAGING / "examples"


class Files(unittest.TestCase):
    def test_every_configuration_is_valid(self):
        files = sorted(EXAMPLES.rglob("*.toml"))
        self.assertEqual(len(files), 3)
        for file in files:
            with tempfile.NamedTemporaryFile("w") as secret:
                secret.write("a-password")
                secret.flush()
                text = file.read_text().replace("/etc/spillway/monitor-password", secret.name)
                done = self.check(text)
            self.assertEqual((done.returncode, done.stderr), (0, ""), file)

    @staticmethod
    def check(text):
        return subprocess.run([*spillway_command(), "check", "-c", "/dev/stdin"], input=text, capture_output=True,
                              text=True, timeout=20)

    @unittest.skipUnless(shutil.which("haproxy"), "haproxy is not installed")
    def test_haproxy_takes_its_file(self):
        done = subprocess.run(["haproxy", "-c", "-f", EXAMPLES / "haproxy/haproxy.cfg"], capture_output=True,
                              text=True, timeout=20)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("WARNING", done.stderr)


class Sentinel(Process):
    def __init__(self, primary, environment):
        super().__init__()
        self.port, self.environment = free_port(), environment
        script = EXAMPLES / "sentinel/reconfigure"
        (self.directory / "sentinel.conf").write_text(f"""port {self.port}
bind 127.0.0.1
sentinel monitor main 127.0.0.1 {primary.port} 1
sentinel down-after-milliseconds main 500
sentinel failover-timeout main 5000
sentinel client-reconfig-script main {script}
""")

    def start(self):
        self.launch(["redis-server", str(self.directory / "sentinel.conf"), "--sentinel"],
                    env=dict(os.environ, **self.environment))
        until("a sentinel that answers", lambda: self.ask("PING") == "PONG")

    def ask(self, *args):
        with Wire(("127.0.0.1", self.port)) as wire:
            return wire.command(*args)

    def stop(self):
        if self.running():
            self.kill()


class Failover(unittest.TestCase):
    def test_spillway_follows_the_primary(self):
        first = self.enterContext(RedisServer())
        second = self.enterContext(RedisServer(replicaof=("127.0.0.1", first.port)))
        until("a replica", lambda: second.info("replication")["master_link_status"] == "up")
        spillway = self.enterContext(Spillway(first, admin={"token": "a-token"}))
        sentinel = self.enterContext(Sentinel(first, {
            "SPILLWAY_CONFIG": str(spillway.config_path), "SPILLWAY_ADMIN": f"127.0.0.1:{spillway.admin_port}",
            "SPILLWAY_TOKEN": "a-token"}))
        stands = self.enterContext(Wire(spillway.endpoint))
        self.assertEqual(stands.command("SET", "k", "before"), "OK")
        until("a sentinel that knows the replica",
              lambda: any(b"127.0.0.1" in row for row in sentinel.ask("SENTINEL", "REPLICAS", "main")[:1][0][:4]))
        until("the write at the replica", lambda: second.command("GET", "k") == b"before")
        before = spillway.config_path.read_text()
        first.kill()
        self.assertEqual(stands.read_to_end(), b"")
        until("a reload", lambda: spillway.records("config_reloaded"), 30)
        self.assertEqual(spillway.config_path.read_text(), before.replace(str(first.port), str(second.port)))
        self.assertEqual(os.listdir(spillway.directory).count("spillway.toml"), 1)
        self.assertEqual([name for name in os.listdir(spillway.directory) if name.startswith("spillway.toml.")], [])
        def ask(*command):
            with Wire(spillway.endpoint) as wire:
                return wire.command(*command)
        until("clients at the new primary", lambda: ask("GET", "k") == b"before")
        self.assertEqual(ask("SET", "k", "after"), "OK")
        second.connect()  # Sentinel has closed all connections to it
        self.assertEqual(second.command("GET", "k"), b"after")


if __name__ == "__main__":
    unittest.main()
