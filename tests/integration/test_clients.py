# Unmodified clients must see through Spillway what they see in front of Redis itself.
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from harness import REDIS, ROOT, RedisServer, Spillway, until
from wire import encode

HERE = Path(__file__).parent
LIMIT_S = 60


def run(argv, stdin=b"", **options):
    """The output of a client program that must succeed."""
    done = subprocess.run([str(arg) for arg in argv], input=stdin, capture_output=True,
                          timeout=LIMIT_S, **options)
    if done.returncode:
        raise AssertionError(f"{argv} exited with {done.returncode}: "
                             f"{(done.stdout + done.stderr)[-2000:].decode(errors='replace')}")
    return done.stdout.decode()


def needed(program, *probe):
    """The program, where it is installed with what the probe asks for."""
    if not shutil.which(program) or subprocess.run([program, *probe], capture_output=True).returncode:
        raise unittest.SkipTest(f"{program} or its Redis library is not installed")
    return program


def node_modules():
    """Installs the locked client libraries once for each lock file; gives their folder."""
    if not (shutil.which("node") and shutil.which("npm")):
        raise unittest.SkipTest("node or npm is not installed")
    lock = (HERE / "node/package-lock.json").read_bytes()
    folder = ROOT / "build/node-clients" / hashlib.sha1(lock).hexdigest()[:12]
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / "node" / name, folder)
        done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, timeout=300,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise unittest.SkipTest(f"npm ci failed in {folder}: {done.stderr[-500:]}")
        (folder / "complete").touch()
    return folder / "node_modules"


class ClientTest(unittest.TestCase):
    """Runs each program twice on an emptied server, directly and through Spillway."""
    binary = REDIS

    def setUp(self):
        self.redis = self.enterContext(RedisServer(binary=self.binary))
        self.spillway = self.enterContext(Spillway(self.redis))

    def both(self, *argv, stdin=b"", fill=(), **options):
        """The program's output, the same both ways; {port} is put in."""
        def output(port):
            self.redis.command("FLUSHALL")
            for command in fill:
                self.redis.command(*command)
            return run([str(arg).replace("{port}", str(port)) for arg in argv], stdin, **options)
        wanted, got = output(self.redis.port), output(self.spillway.port)
        self.maxDiff = 4000
        self.assertEqual(wanted.splitlines(), got.splitlines())
        return wanted


class Programs(ClientTest):
    def test_redis_py(self):
        self.assertIn('"other database"', self.both(sys.executable, HERE / "python_program.py", "{port}"))

    def test_redis_rb(self):
        self.assertIn('quit: "OK"', self.both(needed("ruby", "-e", "require 'redis'"), HERE / "ruby_program.rb", "{port}"))

    def test_phpredis(self):
        self.assertIn('["close",true]',
                      self.both(needed("php", "-r", "exit(extension_loaded('redis') ? 0 : 1);"), HERE / "php_program.php", "{port}"))

    def test_hiredis(self):
        program = os.environ.get("HIREDIS_PROGRAM", "")
        if not program:
            self.skipTest("it was not built: libhiredis-dev is not installed")
        self.assertIn("closed: Server closed the connection", self.both(program, "{port}"))

    def node(self, *argv):
        return self.both("node", *argv, env={**os.environ, "NODE_PATH": str(node_modules())})

    def test_ioredis(self):
        self.assertIn('["quit",["OK","OK","OK"]]', self.node(HERE / "node/ioredis_program.js", "{port}"))

    def test_bullmq(self):
        self.assertIn('["counts",{"waiting":0,"active":0,"completed":10001,', self.node(HERE / "node/bullmq_program.js", "{port}"))

    def test_node_redis(self):
        for protocol in (2, 3):
            with self.subTest(protocol):
                self.assertIn('["closed",true]',
                              self.node(HERE / "node/node_redis_program.js", "{port}", protocol))


class RedisCli(ClientTest):
    COMMANDS = ("set k v\nget k\nhset h a 1 b 2\nhgetall h\nmulti\nincr n\nlpush k 1\nexec\nnosuch\n"
                "lpush l 1 2 3\nlrange l 0 -1\neval 'return {1,{2,3},false}' 0\nselect 1\nget k\nget none\n"
                "config get maxmemory-policy\nzadd z 1.5 a\nzrange z 0 -1 withscores\n").encode()

    def test_commands(self):
        for protocol in ("-2", "-3"):
            with self.subTest(protocol):
                self.both("redis-cli", "-p", "{port}", protocol, stdin=self.COMMANDS)

    def test_one_command(self):
        self.assertEqual(self.both("redis-cli", "-p", "{port}", "set", "k", "v"), "OK\n")
        self.assertEqual(self.both("redis-cli", "-p", "{port}", "--raw", "get", "k", fill=[("SET", "k", "v")]), "v\n")
        self.assertEqual(self.both("redis-cli", "-p", "{port}", "-x", "set", "k", stdin=b"x" * 10**6), "OK\n")

    def test_pipe_mode(self):
        load = b"".join(encode("SET", f"key:{i}", "v" * 100) for i in range(100_000))
        self.assertIn("errors: 0, replies: 100000", self.both("redis-cli", "-p", "{port}", "--pipe", stdin=load))
        self.assertEqual(self.redis.command("DBSIZE"), 100_000)

    def test_whole_keyspace_tools(self):
        fill = [("EVAL", "for i = 1, 2000 do redis.call('set', 'k:' .. i, i) end "
                 "redis.call('setrange', 'big', 100000, 'x') redis.call('rpush', 'l', 1, 2, 3)", 0)]
        self.assertIn("100001 bytes", self.both("redis-cli", "-p", "{port}", "--bigkeys", fill=fill))
        found = self.both("redis-cli", "-p", "{port}", "--scan", "--pattern", "k:1*", fill=fill)
        self.assertEqual(len(found.split()), 1111)

    def test_rdb(self):
        """A whole replication stream ends in a file that the server can read."""
        with tempfile.TemporaryDirectory() as folder:
            fill = [("EVAL", "for i = 1, 20000 do redis.call('set', 'k:' .. i, string.rep('v', i % 300)) end", 0)]
            file = Path(folder, "dump.rdb")
            self.both("redis-cli", "-p", "{port}", "--rdb", file, fill=fill)
            with RedisServer(binary=self.binary, dir=folder, dbfilename="dump.rdb") as copy:
                until("a copy that is loaded", lambda: copy.command("DBSIZE") == 20000)
                keys = [f"k:{n}" for n in range(1, 20001)]
                self.assertEqual(copy.command("MGET", *keys), self.redis.command("MGET", *keys))

    def test_tools_without_an_end(self):
        """--stat and --latency go on until they are stopped: their first lines must come, and be of the same shape."""
        def lines(port, flag, count):
            with subprocess.Popen(["redis-cli", "-p", str(port), *flag], stdout=subprocess.PIPE) as tool:
                try:
                    return [re.sub(rb"\d+", b"N", tool.stdout.readline()).split() for _ in range(count)]
                finally:
                    tool.terminate()
        for flag, count in ((["--stat", "-i", "0.05"], 6), (["--latency-history", "-i", "0.1", "--raw"], 3)):
            with self.subTest(flag):
                direct, through = (lines(server.port, flag, count) for server in (self.redis, self.spillway))
                self.assertEqual([len(line) for line in direct], [len(line) for line in through])

    def test_monitor(self):
        watcher = subprocess.Popen(["redis-cli", "-p", str(self.spillway.port), "monitor"],
                                   stdout=subprocess.PIPE)
        self.addCleanup(watcher.stdout.close)
        self.addCleanup(watcher.wait)
        self.addCleanup(watcher.terminate)
        self.assertEqual(watcher.stdout.readline(), b"OK\n")
        run(["redis-cli", "-p", self.spillway.port, "set", "marked", "value"])
        for line in watcher.stdout:
            if b'"marked"' in line:
                break
        self.assertRegex(line, rb'^\d+\.\d+ \[0 127.0.0.1:\d+\] "set" "marked" "value"\n$')

    def test_subscribe(self):
        watcher = subprocess.Popen(["redis-cli", "-p", str(self.spillway.port), "subscribe", "news"],
                                   stdout=subprocess.PIPE)
        self.addCleanup(watcher.stdout.close)
        self.addCleanup(watcher.wait)
        self.addCleanup(watcher.terminate)
        self.assertEqual([watcher.stdout.readline() for _ in range(3)][-1], b"1\n")
        self.assertEqual(run(["redis-cli", "-p", self.spillway.port, "publish", "news", "today"]), "1\n")
        self.assertEqual([watcher.stdout.readline() for _ in range(3)][-1], b"today\n")


class RedisBenchmark(ClientTest):
    COUNT = 100_000

    def test_every_command_arrives_once(self):
        for tests, flags in (("set,get,incr,lpush,lpop,sadd,hset,spop,zadd,mset", ["-P", 16, "-c", 50]),
                             ("set,get", ["-P", 1, "-c", 50, "-d", 3000]), ("set,get", ["-P", 100, "-c", 5, "-3"]),
                             ("ping", ["-c", 1, "-P", 1000])):
            with self.subTest(tests=tests, flags=flags):
                count = self.COUNT if "-P" in flags and flags[1] > 1 else 10_000
                self.redis.command("CONFIG", "RESETSTAT")
                output = run(["redis-benchmark", "-p", self.spillway.port, "-n", count, "-t", tests, "-q", *flags])
                self.assertNotIn("rror", output)
                for name in tests.split(","):
                    rounds = 2 if name == "ping" else 1  # inline and multibulk
                    self.assertEqual(self.redis.calls(name), count * rounds, name)

    def test_clients_that_come_and_go(self):
        run(["redis-benchmark", "-p", self.spillway.port, "-n", 2000, "-t", "get", "-q", "-k", 0])
        until("no connection left", lambda: len(self.redis.clients()) < 5)
        self.assertEqual(self.redis.calls("get"), 2000)


if __name__ == "__main__":
    unittest.main()
