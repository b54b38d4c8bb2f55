# The command line, the configuration file and the log, as an operator meets them.
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

from harness import DEADLINE_S, ROOT, RedisServer, Spillway, free_port, spillway_command, toml, until
from wire import Wire, encode

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def run(*args):
    """(exit code, standard output, standard error) of the program, which must end by itself."""
    done = subprocess.run([*spillway_command(), *map(str, args)], capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout, done.stderr


class CliTest(unittest.TestCase):
    def file(self, text):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        path = folder / "spillway.toml"
        path.write_text(text)
        return path


class Usage(CliTest):
    def test_version(self):
        code, out, err = run("--version")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"^spillway \d+\.\d+\.\d+[^\n]*\n$")

    def test_help(self):
        code, out, err = run("--help")
        self.assertEqual((code, err), (0, ""))
        for word in ("-c", "--listen", "--backend", "--mode", "--admin", "--log-format", "--log-level", "check",
                     "doctor",
                     "--version"):
            self.assertIn(word, out)

    def test_wrong_usage(self):
        for args in (["--nosuch"], ["nosuch"], ["--mode"], ["--mode", "nosuch"], ["--listen", "nonsense"],
                     ["--backend", "http://x"], ["-c", "/nonexistent/file.toml"],
                     ["check", "-c", "/nonexistent"],
                     ["--listen", "127.0.0.1:99999"], ["--log-format", "xml"], ["--log-level", "loud"]):
            with self.subTest(args):
                code, out, err = run(*args)
                self.assertEqual(code, 2)
                self.assertTrue(args[0] in err or args[-1] in err, err)


    def test_output_that_is_lost_is_a_failure(self):
        with RedisServer() as redis, open("/dev/full", "wb") as full:
            path = self.file("")
            for args in (["--version"], ["--help"], ["check", "-c", path], ["check", "--help"],
                         ["check", "-c", path, "--explain", "GET a"], ["doctor", redis.url], ["doctor", redis.url, "--json"]):
                with self.subTest(args):
                    done = subprocess.run([*spillway_command(), *map(str, args)], stdout=full, stderr=subprocess.PIPE,
                                          text=True, timeout=20)
                    self.assertEqual(done.returncode, 1)
                    self.assertIn("standard output", done.stderr)


class Start(CliTest):
    def test_two_share_an_address_only_knowingly(self):
        """That is how one may take over from another; it is told, since it may be a mistake."""
        with RedisServer() as redis, Spillway(redis) as first:
            with Spillway(redis, listener={"address": f"127.0.0.1:{first.port}"}) as second:
                second.record("note", level="warn", msg=f"another process listens on 127.0.0.1:{first.port}, too: "
                              "clients come to the one or the other until one of them ends")
                self.assertFalse(first.records("note", level="warn"))
                first.child.terminate()
                self.assertEqual(first.child.wait(DEADLINE_S), 0)
                for _ in range(20):
                    with Wire(first.endpoint) as wire:
                        self.assertEqual(wire.command("PING"), "PONG")

    def test_an_address_of_another_program_is_refused(self):
        with RedisServer() as redis, socket.create_server(("127.0.0.1", 0)) as other:
            address = "127.0.0.1:%d" % other.getsockname()[1]
            code, _, err = run("--listen", address, "--backend", redis.url, "--admin", f"127.0.0.1:{free_port()}")
            self.assertEqual(code, 1)
            self.assertIn(f"cannot listen on {address}: Address already in use; another program has this address", err)

    def test_one_listener_may_cover_the_address_of_another(self):
        with RedisServer() as redis:
            spillway = Spillway(redis, listener={"name": "near"})
            spillway.config["listener"].append({"address": f"0.0.0.0:{spillway.port}", "name": "far"})
            with spillway, Wire(spillway.endpoint) as wire:
                self.assertEqual(wire.command("PING"), "PONG")

    def test_debug_follows_connections(self):
        with RedisServer() as redis, Spillway(redis, log={"level": "debug"}) as spillway:
            with Wire(spillway.endpoint) as wire:
                address = "%s:%d" % wire.socket.getsockname()
                self.assertEqual(wire.command("PING"), "PONG")
            came, left = until("both records", lambda: len(rows := spillway.records("note", client=address)) > 1 and rows)
            self.assertEqual((came["level"], left["level"]), ("debug", "debug"))
            self.assertEqual((came["listener"], left["listener"]), (f"127.0.0.1:{spillway.port}",) * 2)
            self.assertEqual((left["reason"], left["bytes_in"], left["bytes_out"]), ("client_closed", 14, 7))
            self.assertGreater(left["duration_s"], 0)
            text = spillway.config_path.read_text().replace('"debug"', '"info"')
            spillway.config_path.write_text(text)
            spillway.request("POST", "/api/v1/reload")
            with Wire(spillway.endpoint) as wire:
                address = "%s:%d" % wire.socket.getsockname()
                self.assertEqual(wire.command("PING"), "PONG")
            until("its end", lambda: spillway.metric("spillway_clients") == 0)
            self.assertEqual(spillway.records(client=address), [])

    def test_each_worker_has_clients(self):
        with RedisServer() as redis, Spillway(redis, workers=4) as spillway:
            text = Path("/proc/net/tcp").read_text()
            queues = [row for row in text.splitlines() if f":{spillway.port:04X} 00000000:0000 0A" in row]
            self.assertEqual(len(queues), 4)
            for _ in range(100):
                with Wire(spillway.endpoint) as wire:
                    self.assertEqual(wire.command("PING"), "PONG")

    def test_closed_standard_descriptors(self):
        with RedisServer() as redis:
            spillway = Spillway(redis, log={"file": "log"})
            spillway.binary = ["bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash", *spillway.binary]
            with spillway:
                places = [os.readlink(f"/proc/{spillway.child.pid}/fd/{fd}") for fd in range(3)]
                self.assertEqual(places, ["/dev/null"] * 3)
                with Wire(spillway.endpoint) as wire:
                    self.assertEqual(wire.command("PING"), "PONG")
        done = subprocess.run(["bash", "-c", 'exec "$@" >&-', "bash", *spillway_command(), "--version"], timeout=20)
        self.assertEqual(done.returncode, 1, "nobody can have seen it")

    def test_signals_that_come_before_it_is_ready_for_them(self):
        with RedisServer() as redis:
            spillway = Spillway(redis, ready=False)
            text = toml(spillway.config)
            spillway.config_path.unlink(missing_ok=True)
            os.mkfifo(spillway.config_path)
            spillway.launch([*spillway.binary, "-c", str(spillway.config_path)])
            with contextlib.closing(open(spillway.config_path, "w", encoding="ascii")) as config:  # once it reads it
                for signum in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
                    spillway.child.send_signal(signum)
                spillway.config_path.unlink()
                spillway.config_path.write_text(text)  # for the reload
                config.write(text)
            self.addCleanup(spillway.__exit__)
            reason = spillway.record("stopping")["reason"]
            successor = int(re.fullmatch(r"process (\d+) has taken over", reason)[1])
            self.addCleanup(os.kill, successor, signal.SIGTERM)
            self.assertEqual(spillway.child.wait(20), 0)
            self.assertTrue(spillway.records("config_reloaded"))
            with Wire(spillway.endpoint) as wire:
                self.assertEqual(wire.command("PING"), "PONG")


class Check(CliTest):
    BAD = (  # text, line, column, what the message must name
        ("workers = -1\n", 1, 11, "workers"), ("wokers = 1\n", 1, 1, "wokers"),
        ("[guard]\nmod = \"off\"\n", 2, 1, "mod"),
        ("[guard]\nmode = \"protec\"\n", 2, 8, "protect"), ("[guard]\nshed_at = 1.5\n", 2, 11, "shed_at"),
        ("[guard]\nthrottle_at = 0.9\nshed_at = 0.8\n", None, None, "throttle_at"),
        ("[guard]\nhold_max = \"11s\"\n", 2, 12, "hold_max"),
        ("[guard]\nwrite_max = \"64xb\"\n", 2, 13, "64xb"), ("[backend]\nurl = \"http://x\"\n", 2, 7, "redis://"),
        ("[monitor]\ninterval = 5\n", 2, 12, "interval"), ("[nosuch]\na = 1\n", 1, None, "nosuch"),
        ("a = = b\n", 1, None, ""),
        ("[log]\nformat = \"xml\"\n", 2, 10, "json"), ("[[guard.rule]]\npriority = \"high\"\nname = \"r\"\n", 2, 12,
                                                       "critical"),
        ("[admin]\naddress = \"0.0.0.0:9380\"\n", None, None, "token"),
    )

    def test_a_good_file(self):
        path = self.file('workers = 3\n[guard]\nshed_at = 0.95\n[monitor]\ninterval = "50ms"\n')
        code, out, err = run("check", "-c", path)
        self.assertEqual((code, err), (0, ""))
        effective = tomllib.loads(out)
        self.assertEqual((effective["workers"], effective["guard"]["shed_at"]), (3, 0.95))
        self.assertEqual(effective["guard"]["throttle_at"], 0.85)
        self.assertRegex(out, r"(?m)^workers = 3 *# .*spillway\.toml:1\b")
        self.assertRegex(out, r"(?m)^throttle_at = 0\.85 *# .*default")

    def test_the_effective_configuration_is_valid_itself(self):
        first = run("check", "-c",
                    self.file('[[listener]]\naddress = "unix:/tmp/a.sock"\n[[guard.rule]]\nname = "r"\nkeys = ["a*"]\n'
                                              'priority = "critical"\n'))
        self.assertEqual(first[0], 0, first)
        again = run("check", "-c", self.file(first[1]))
        self.assertEqual(again[0], 0, again)
        self.assertEqual(tomllib.loads(first[1]), tomllib.loads(again[1]))

    def test_secrets_are_masked(self):
        code, out, _ = run("check", "-c",
                           self.file('[backend]\nurl = "redis://bob:hunter2@h:1"\n[admin]\ntoken = "topsecret"\n'))
        self.assertEqual(code, 0)
        self.assertNotRegex(out, "hunter2|topsecret")

    def test_what_can_hardly_be_meant_is_a_warning(self):
        path = self.file('[[guard.rule]]\nname = "r"\ncommands = ["lpush", "LPOOP", "xgroup create", "XGROUP CREAT"]\n'
                         '[log]\nfile = "/nonexistent/spillway.log"\n')
        code, out, err = run("check", "-c", path)
        self.assertEqual((code, bool(out)), (0, True))
        self.assertEqual([line.partition("spillway.toml:")[2] for line in err.splitlines()], [
            '3:12: guard.rule[0].commands: no command "LPOOP" is known; did you mean LPOP? It matches nothing, unless a '
            'module of the server has it',
            '3:12: guard.rule[0].commands: no command "XGROUP CREAT" is known; did you mean XGROUP CREATE? It matches '
            'nothing, unless a module of the server has it',
            '5:8: log.file: there is no folder "/nonexistent": a start fails without it'])
        self.assertTrue(all(line.startswith("warning: ") for line in err.splitlines()), err)

    def test_the_shipped_file(self):
        code, out, err = run("check", "-c", ROOT / "conf/spillway.toml")
        self.assertEqual((code, err), (0, ""))
        self.assertNotIn("spillway.toml:0", out)

    def test_bad_files(self):
        for text, line, column, word in self.BAD:
            with self.subTest(text):
                code, out, err = run("check", "-c", self.file(text))
                self.assertEqual(code, 2)
                place = re.search(r"(?m)^(\S*spillway\.toml):(\d+):(\d+): (.+)$", err)
                self.assertTrue(place, err)
                if line:
                    self.assertEqual(int(place[2]), line, err)
                if column:
                    self.assertEqual(int(place[3]), column, err)
                self.assertIn(word, place[4])

    def test_every_error_at_once(self):
        code, _, err = run("check", "-c",
                           self.file("wokers = 1\n[guard]\nmode = \"x\"\nshed_at = 7\n[log]\nlevel = 3\n"))
        self.assertEqual(code, 2)
        self.assertEqual(len(re.findall(r"(?m)^\S*spillway\.toml:\d+:\d+: ", err)), 4, err)

    def test_the_program_does_not_start_with_a_bad_file(self):
        code, _, err = run("-c", self.file("[guard]\nmode = \"protec\"\n"))
        self.assertEqual(code, 2)
        self.assertRegex(err, r"spillway\.toml:2:8: ")


class Running(CliTest):
    def start(self, **options):
        self.redis = self.enterContext(RedisServer())
        self.spillway = self.enterContext(Spillway(self.redis, **options))

    def wire(self):
        return self.enterContext(Wire(self.spillway.endpoint))

    def test_flags_win_over_the_file(self):
        port = free_port()
        self.start(flags=["--mode", "observe", "--listen", f"127.0.0.1:{port}"], guard={"mode": "off"})
        self.assertEqual(self.spillway.metric("spillway_guard_mode", mode="observe"), 1)
        with Wire(("127.0.0.1", port)) as wire:
            self.assertEqual(wire.command("PING"), "PONG")

    def test_port_in_use(self):
        self.redis = self.enterContext(RedisServer())
        with socket.create_server(("127.0.0.1", 0)) as holder:
            taken = "127.0.0.1:%d" % holder.getsockname()[1]
            for section in ("listener", "admin"):
                with self.subTest(section):
                    other = Spillway(self.redis, ready=False, **{section: {"address": taken}})
                    self.addCleanup(other.__exit__)
                    other.start()
                    self.assertEqual(other.child.wait(15), 1)
                    other.child = None
                    self.assertRegex(other.output(), rf"(?i){taken}.*in use")

    def test_sigterm_lets_a_command_finish(self):
        self.start(drain_timeout="10s")
        busy = self.wire()
        busy.send(encode("BLPOP", "queue", 0))
        until("blocked", lambda: self.redis.info("clients")["blocked_clients"] == "1")
        self.spillway.child.terminate()
        self.assertTrue(self.spillway.record("stopping"))
        until("no new clients", lambda: self.refuses())
        self.redis.command("RPUSH", "queue", "job")
        self.assertEqual(busy.reply(), [b"queue", b"job"])
        busy.socket.close()
        self.assertEqual(self.spillway.child.wait(10), 0)
        self.assertTrue(self.spillway.record("stopped"))

    def refuses(self):
        try:
            with Wire(self.spillway.endpoint) as wire:
                return wire.read_to_end() == b""
        except ConnectionRefusedError:
            return True

    def test_sigterm_ends_at_the_drain_timeout(self):
        self.start(drain_timeout="300ms")
        stuck = self.wire()
        stuck.send(encode("BLPOP", "queue", 0))
        until("blocked", lambda: self.redis.info("clients")["blocked_clients"] == "1")
        self.spillway.child.terminate()
        self.assertEqual(stuck.read_to_end(), b"")
        self.assertEqual(self.spillway.child.wait(10), 0)

    def test_sigint_too(self):
        self.start()
        self.spillway.child.send_signal(signal.SIGINT)
        self.assertEqual(self.spillway.child.wait(10), 0)

    def test_json_log(self):
        self.start()
        self.assertEqual(self.wire().command("PING"), "PONG")
        self.spillway.stop()
        events = [row["event"] for row in self.spillway.records()]
        for event in ("started", "listening", "backend_up", "stopping", "stopped"):
            self.assertIn(event, events)
        for row in self.spillway.records():
            self.assertEqual(list(row)[:4], ["ts", "level", "event", "msg"])
            self.assertRegex(row["ts"], f"^{TIME}$")

    def test_text_log(self):
        self.start(log={"format": "text"})
        until("a start line", lambda: "listening" in self.spillway.output())
        for line in self.spillway.output().splitlines():
            self.assertRegex(line, rf"(?i)^{TIME} +(info|warn|error)\b")
            self.assertRaises(ValueError, json.loads, line)

    def test_log_file(self):
        self.start(log={"file": "spillway.log"})
        path = self.spillway.directory / "spillway.log"
        until("records in the file", lambda: '"listening"' in path.read_text())
        self.assertEqual(self.spillway.output(), "")

    def test_log_level(self):
        self.start(log={"level": "error"})
        self.assertEqual(self.spillway.output(), "")


class Keys(CliTest):
    MODES = {"full": "cart:17:items", "pattern": "cart:*:items", "none": None, "hash": None}

    def test_how_keys_are_shown(self):
        for mode, wanted in self.MODES.items():
            with self.subTest(mode):
                redis = self.enterContext(RedisServer(maxmemory="16mb", maxmemory_policy="noeviction"))
                spillway = self.enterContext(Spillway(redis, guard={"mode": "off"}, log={"keys": mode}))
                redis.fill(0.6)
                redis.command("CONFIG", "SET", "maxmemory", "4mb")
                with Wire(spillway.endpoint) as wire:
                    wire.command("SET", "cart:17:items", "v")
                record = spillway.record("oom")
                if wanted:
                    self.assertEqual(record["key"], wanted)
                else:
                    self.assertNotIn("cart", json.dumps(record))
                if mode != "full":
                    shown = spillway.output() + spillway.get("/api/v1/incidents")[1] + spillway.get("/metrics")[1]
                    self.assertNotIn("cart:17", shown)


if __name__ == "__main__":
    unittest.main()
