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


class Reconfigure(unittest.TestCase):
    """What Sentinel's script makes of a file; nobody listens at the admin address."""
    UNPRIVILEGED = 65534

    def run_script(self, text, writable_folder=True):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        script = shutil.copy(EXAMPLES / "sentinel/reconfigure", folder / "reconfigure")
        place = folder / "etc"
        place.mkdir()
        file = place / "spillway.toml"
        file.write_text(text)
        file.chmod(0o664)
        place.chmod(0o755 if writable_folder else 0o555)
        folder.chmod(0o755)
        self.addCleanup(place.chmod, 0o755)
        options = {}
        if os.geteuid() == 0:  # to whom no permission matters
            os.chown(file, 0, self.UNPRIVILEGED)
            if writable_folder:
                os.chown(place, self.UNPRIVILEGED, self.UNPRIVILEGED)
            options = {"user": self.UNPRIVILEGED, "group": self.UNPRIVILEGED, "extra_groups": []}
        done = subprocess.run(
            [script, "main", "leader", "start", "10.0.0.5", "6379", "10.0.0.6", "6380"], capture_output=True, text=True,
            timeout=20, env=dict(os.environ, SPILLWAY_CONFIG=str(file), SPILLWAY_ADMIN=f"127.0.0.1:{free_port()}"), **options)
        self.assertEqual([path.name for path in place.iterdir()], ["spillway.toml"])
        return done, file

    def test_any_way_of_writing_the_url(self):
        for before, after in (('url="redis://10.0.0.5:6379"', 'url="redis://10.0.0.6:6380"'),
                              ("  url   = 'rediss://bob:pw@10.0.0.5:6379/0' # it", "  url   = 'rediss://bob:pw@10.0.0.6:6380/0' # it"),
                              ('backend.url = "redis://h"', 'backend.url = "redis://10.0.0.6:6380"')):
            head = "" if before.startswith("backend") else "# url = \"redis://x:1\"\n[backend]\n"
            done, file = self.run_script(head + before + "\n")
            self.assertEqual(file.read_text(), head + after + "\n")
            self.assertEqual(done.returncode, 1, "Spillway could not be told")
            self.assertIn("has not taken it over", done.stderr)

    def test_a_file_without_one_is_said(self):
        done, file = self.run_script('backend = { url = "redis://10.0.0.5:6379" }\n')
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"{file} has no line", done.stderr)
        self.assertIn("10.0.0.5", file.read_text())

    def test_the_file_alone_may_be_writable(self):
        done, file = self.run_script('[backend]\nurl = "redis://10.0.0.5:6379"\n', writable_folder=False)
        self.assertEqual(file.read_text(), '[backend]\nurl = "redis://10.0.0.6:6380"\n')
        self.assertEqual(done.returncode, 1)
        self.assertEqual(file.stat().st_mode & 0o777, 0o664)


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
