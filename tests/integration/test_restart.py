# Restarts that no client notices: a process that takes the listening sockets over, and systemd's activation and watchdog.
import os
import re
import signal
import socket
import subprocess
import threading
import unittest

from harness import DEADLINE_S, RedisServer, Spillway, free_port, spillway_command, until
from wire import Wire, encode

RESTARTS, WRITERS, PIPELINE, STAYS = 10, 6, 10, 20


def gone(pid):
    """Whether a process has ended; one that nobody has waited for has."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


class RestartTest(unittest.TestCase):
    def setUp(self):
        self.redis = self.enterContext(RedisServer())
        self.pids = []
        self.addCleanup(self.end_all)

    def start(self, **sections):
        self.spillway = self.enterContext(Spillway(self.redis, **sections))
        self.pids = [self.spillway.child.pid]

    def end_all(self):
        for pid in self.pids[1:]:
            if not gone(pid):
                os.kill(pid, signal.SIGTERM)
                until(f"process {pid} gone", lambda: gone(pid))

    def stopping(self):
        return self.spillway.records("stopping")

    def take_over(self):
        """Puts a new process in the place of the newest; the pid of the old one."""
        before = len(self.stopping())
        os.kill(self.pids[-1], signal.SIGUSR2)
        until("a process that has taken over", lambda: len(self.stopping()) > before)
        reason = self.stopping()[-1]["reason"]
        self.pids.append(int(re.fullmatch(r"process (\d+) has taken over", reason)[1]))
        return self.pids[-2]

    def notes(self, text):
        return [row for row in self.spillway.records() if text in row["msg"]]


class Writers:
    """Clients that count every reply, each on one connection after the other."""

    def __init__(self, endpoint):
        self.endpoint, self.stop = endpoint, threading.Event()
        self.done, self.connections, self.faults = [0] * WRITERS, [0] * WRITERS, []
        self.threads = [threading.Thread(target=self.guarded, args=(n,)) for n in range(WRITERS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def guarded(self, writer):
        try:
            while not self.stop.is_set():
                with Wire(self.endpoint) as wire:
                    self.connections[writer] += 1
                    for _ in range(STAYS if writer % 2 else 1):
                        self.write(wire, writer)
        except BaseException as error:  # whatever ends a writer early is a lost reply
            self.faults.append((writer, repr(error)))

    def write(self, wire, writer):
        for reply in wire.pipeline([("INCR", f"n:{writer}")] * PIPELINE):
            self.done[writer] += 1
            if reply != self.done[writer]:
                self.faults.append((writer, reply, self.done[writer]))

    def go_on(self):
        """Waits until each has connected anew, twice."""
        before = list(self.connections)
        until("writers that connect anew", lambda: self.faults or all(
            now > then + 1 for now, then in zip(self.connections, before)))


class Handover(RestartTest):
    def test_a_backend_with_a_name_answers_from_the_first(self):
        self.redis.url = f"redis://localhost:{self.redis.port}"
        self.start()
        with Writers(self.spillway.endpoint) as writers:
            for _ in range(3):
                self.take_over()
                writers.go_on()
        self.assertEqual(writers.faults, [])

    def test_an_address_that_is_no_longer_configured_is_given_back(self):
        self.start()
        other = free_port()
        text = self.spillway.config_path.read_text()
        self.spillway.config_path.write_text(text.replace(f"127.0.0.1:{self.spillway.admin_port}", f"127.0.0.1:{other}"))
        self.take_over()
        until("nobody at the address of before", lambda: self.refuses(self.spillway.admin_port))
        self.spillway.admin_port = other
        until("the new address", lambda: self.spillway.get("/readyz")[0] == 200)

    def test_ten_under_load_lose_nothing(self):
        self.start(drain_timeout="60s")
        stays = self.enterContext(Wire(self.spillway.endpoint))
        self.assertEqual(stays.command("SET", "stays", 0), "OK")
        with Writers(self.spillway.endpoint) as writers:
            for _ in range(RESTARTS):
                self.take_over()
                writers.go_on()
                stays.command("INCR", "stays")
        self.assertEqual(writers.faults, [])
        for writer in range(WRITERS):
            self.assertEqual(int(self.redis.command("GET", f"n:{writer}")), writers.done[writer])
        self.assertEqual(stays.command("GET", "stays"), str(RESTARTS).encode(), "served by the first of all")
        for pid in self.pids[1:-1]:
            until(f"the end of process {pid}, which has no client", lambda: gone(pid))
        self.assertFalse(gone(self.pids[0]))
        stays.socket.close()
        until("the end of the first", lambda: self.spillway.child.poll() is not None)
        self.assertEqual(self.spillway.child.returncode, 0)
        until("the last to serve as admin, too", lambda: self.spillway.get("/readyz")[0] == 200)
        self.assertFalse(gone(self.pids[-1]))

    @staticmethod
    def refuses(port):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return True
        return False

    def test_takes_over_what_a_restart_changes(self):
        self.start()
        text = self.spillway.config_path.read_text().replace("workers = 2", "workers = 3")
        self.spillway.config_path.write_text(text)
        self.take_over()
        until("the new number of workers", lambda: self.spillway.api("status")["workers"] == 3)
        for _ in range(20):
            with Wire(self.spillway.endpoint) as wire:
                self.assertEqual(wire.command("PING"), "PONG")

    def test_a_unix_socket_stays_where_it_is(self):
        path = self.redis.directory / "spillway.sock"
        self.start(listener={"address": f"unix:{path}"})
        inode = path.stat().st_ino
        old = self.take_over()
        until("the end of the old process", lambda: gone(old))
        self.assertEqual(path.stat().st_ino, inode)
        with Wire(self.spillway.endpoint) as wire:
            self.assertEqual(wire.command("PING"), "PONG")
        self.end_all()
        self.assertFalse(path.exists())

    def test_a_bad_file_changes_nothing(self):
        self.start()
        self.spillway.config_path.write_text("nonsense = 1\n")
        os.kill(self.pids[0], signal.SIGUSR2)
        until("why it did not come to pass", lambda: "this one goes on" in self.spillway.output())
        self.assertIn("spillway.toml:1:1: ", self.spillway.output())
        with Wire(self.spillway.endpoint) as wire:
            self.assertEqual(wire.command("PING"), "PONG")
        self.assertFalse(gone(self.pids[0]))
        (self.spillway.directory / "err").write_text("")  # its last words are no records

    def test_clients_that_stay_too_long_are_ended(self):
        self.start(drain_timeout="1s")
        stays = self.enterContext(Wire(self.spillway.endpoint))
        self.assertEqual(stays.command("PING"), "PONG")
        old = self.take_over()
        self.assertEqual(stays.command("PING"), "PONG")
        self.assertEqual(stays.read_to_end(), b"")
        until("the end of the old process", lambda: gone(old))

    def test_sigterm_ends_a_process_that_still_serves_clients(self):
        self.start(drain_timeout="1h")
        stays = self.enterContext(Wire(self.spillway.endpoint))
        self.assertEqual(stays.command("PING"), "PONG")
        old = self.take_over()
        os.kill(old, signal.SIGTERM)
        self.assertEqual(stays.read_to_end(), b"")
        until("the end of the old process", lambda: gone(old))


    def begin_takeover(self):
        """A successor that goes on reading its configuration for as long as nobody writes it."""
        self.spillway.config_path.unlink()
        os.mkfifo(self.spillway.config_path)
        os.kill(self.pids[0], signal.SIGUSR2)
        text = until("a successor", lambda: self.notes("is to take over"))[-1]["msg"]
        self.pids.append(int(re.fullmatch(r"process (\d+) is to take over", text)[1]))
        until("a successor that reads its configuration", lambda: self.waits_for_a_writer(self.pids[-1]))

    def waits_for_a_writer(self, pid):
        """The end that is opened for writing tells: it cannot be before somebody opens the other."""
        try:
            self.writing = os.open(self.spillway.config_path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return gone(pid)
        self.addCleanup(os.close, self.writing)
        return True

    def test_sigterm_while_a_takeover_is_pending_ends_both(self):
        self.start(drain_timeout="5s")
        with Wire(self.spillway.endpoint) as stays:
            self.assertEqual(stays.command("PING"), "PONG")
            self.begin_takeover()
            os.kill(self.pids[0], signal.SIGTERM)
            self.assertEqual(stays.read_to_end(), b"")
        self.assertEqual(self.spillway.child.wait(DEADLINE_S), 0)
        until("the end of the successor", lambda: gone(self.pids[-1]))
        self.assertEqual(self.notes("did not come to serve"), [])

    def test_sigterm_to_both_ends_both(self):
        self.start(drain_timeout="5s")
        self.begin_takeover()
        for pid in self.pids:
            os.kill(pid, signal.SIGTERM)
        self.assertEqual(self.spillway.child.wait(DEADLINE_S), 0)
        until("the end of the successor", lambda: gone(self.pids[-1]))

    def test_sigterm_ends_a_successor_that_has_no_end_of_its_own(self):
        self.start(drain_timeout="5s")
        self.begin_takeover()
        os.kill(self.pids[-1], signal.SIGSTOP)
        os.kill(self.pids[0], signal.SIGTERM)
        self.assertEqual(self.spillway.child.wait(DEADLINE_S), 0)
        until("the end of the successor", lambda: gone(self.pids[-1]))


class Ends(RestartTest):
    """What Redis has run its client hears of, though it is in the middle of its work when its time is over."""
    BUSY = 12

    def busy(self, n, heard, stages):
        depth = 1 + n % 4 * 15
        with Wire(self.spillway.endpoint) as wire:
            try:
                while True:
                    wire.send(encode("INCRBY", f"n:{n}", 1) * depth)
                    for _ in range(depth):
                        heard[n] = wire.reply()
                    stages.add(n)
            except (ConnectionError, EOFError):
                pass

    def loses_nothing(self, end):
        self.start(drain_timeout="1s")
        heard, stages = [0] * self.BUSY, set()
        threads = [threading.Thread(target=self.busy, args=(n, heard, stages)) for n in range(self.BUSY)]
        for thread in threads:
            thread.start()
        until("all at work", lambda: len(stages) == self.BUSY)
        end()
        for thread in threads:
            thread.join(DEADLINE_S)
        self.assertEqual([int(self.redis.command("GET", f"n:{n}")) for n in range(self.BUSY)], heard)

    def test_sigterm_amid_commands(self):
        self.loses_nothing(lambda: os.kill(self.pids[0], signal.SIGTERM))
        self.assertEqual(self.spillway.child.wait(DEADLINE_S), 0)
        self.assertEqual(self.spillway.records("stopped")[0]["clients_cut"], 0)

    def test_takeover_amid_commands(self):
        self.loses_nothing(self.take_over)

    def test_one_that_never_reads_is_cut(self):
        self.start(drain_timeout="200ms")
        self.redis.command("SET", "k", "x" * 1_000_000)
        with Wire(self.spillway.endpoint) as wire:
            wire.send(encode("GET", "k") * 30)
            until("replies on their way", lambda: self.spillway.metric("spillway_spool_bytes") > 0)
            os.kill(self.pids[0], signal.SIGTERM)
            self.assertEqual(self.spillway.child.wait(DEADLINE_S), 0)

    def test_an_open_incident_is_told_as_a_whole(self):
        self.redis.command("CONFIG", "SET", "maxmemory", "64mb")
        self.start(guard={"write_max": "1kb"})
        self.spillway.wait_state("plenty")
        with Wire(self.spillway.endpoint) as wire:
            self.assertIn("write-max", str(wire.command("SET", "k", "x" * 2000)))
            until("an incident", lambda: self.spillway.records("incident_opened"))
        os.kill(self.pids[0], signal.SIGTERM)
        self.assertEqual(self.spillway.child.wait(DEADLINE_S), 0)
        self.assertEqual(self.spillway.records("incident_closed")[0]["refusals"], 1)


class SocketFiles(RestartTest):
    """Only the file of a socket that the process itself has bound is removed, and only while it stands there."""

    def path(self, name="spillway.sock"):
        return self.redis.directory / name

    def refused(self, path):
        argv = [*spillway_command(), "--listen", f"unix:{path}", "--backend", self.redis.url, "--admin",
                f"127.0.0.1:{free_port()}"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_S)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(f"cannot listen on unix:{path}", done.stderr)

    def test_a_start_that_fails_leaves_what_stands_there(self):
        file, link = self.path("file"), self.path("link")
        file.write_text("kept")
        link.symlink_to(file)
        for path in (file, link, self.redis.unix_path):
            self.refused(path)
        self.assertEqual(link.read_text(), "kept")
        with Wire(self.redis.unix_path) as wire:
            self.assertEqual(wire.command("PING"), "PONG")

    def test_another_spillway_keeps_its_socket(self):
        self.start(listener={"address": f"unix:{self.path()}"})
        self.refused(self.path())
        with Wire(self.spillway.endpoint) as wire:
            self.assertEqual(wire.command("PING"), "PONG")

    def test_a_start_that_fails_later_removes_what_it_has_bound(self):
        argv = [*spillway_command(), "--listen", f"unix:{self.path()}", "--backend", self.redis.url, "--admin",
                f"127.0.0.1:{self.redis.port}"]
        self.assertEqual(subprocess.run(argv, capture_output=True, timeout=DEADLINE_S).returncode, 1)
        self.assertFalse(self.path().exists())

    def test_what_has_come_to_its_place_is_left_alone(self):
        self.start(listener={"address": f"unix:{self.path()}"}, admin={"address": f"unix:{self.path('admin')}"}, ready=False)
        until("both sockets", lambda: self.path().exists() and self.path("admin").exists())
        inodes = []
        for name in ("spillway.sock", "admin"):
            self.path(name).unlink()
            other = self.enterContext(socket.socket(socket.AF_UNIX))
            other.bind(str(self.path(name)))
            inodes.append(self.path(name).stat().st_ino)
        self.spillway.stop()
        self.assertEqual([self.path(name).stat().st_ino for name in ("spillway.sock", "admin")], inodes)

    def test_a_takeover_that_fails_leaves_the_file(self):
        self.start(listener={"address": f"unix:{self.path()}"})
        taken = self.enterContext(socket.socket())
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        text = self.spillway.config_path.read_text()
        self.spillway.config_path.write_text(text.replace(f":{self.spillway.admin_port}", f":{taken.getsockname()[1]}"))
        os.kill(self.pids[0], signal.SIGUSR2)
        until("why it did not come to pass", lambda: "this one goes on" in self.spillway.output())
        self.assertIn("cannot listen for admin requests", self.spillway.output())
        with Wire(self.spillway.endpoint) as wire:
            self.assertEqual(wire.command("PING"), "PONG")
        (self.spillway.directory / "err").write_text("")  # the other's last words are no records


class Systemd(RestartTest):
    def listening(self, port):
        """A socket that outlives each process, as one of a socket unit does."""
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(1000)
        return listener

    def activated(self, port, listener):
        """A Spillway that finds the socket as its descriptor 3, as systemd gives it."""
        argv = ["bash", "-c", f'exec 3<&{listener.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "bash"]
        spillway = Spillway(self.redis, listener={"address": f"127.0.0.1:{port}"})
        spillway.binary = [*argv, *spillway.binary]
        launch = spillway.launch
        spillway.launch = lambda command, **options: launch(command, pass_fds=[listener.fileno()], **options)
        return spillway

    def test_a_socket_unit_keeps_clients_waiting_through_a_restart(self):
        port = free_port()
        listener = self.listening(port)
        with Writers(("127.0.0.1", port)) as writers:
            for _ in range(3):
                with self.activated(port, listener) as spillway:
                    self.spillway = spillway
                    writers.go_on()
                    self.assertEqual(spillway.records("listening")[0]["address"], f"127.0.0.1:{port}")
                    writers.stop.set()  # those who stay are no matter here: see Handover
                    for thread in writers.threads:
                        thread.join()
                    spillway.kill(signal.SIGTERM)
                    self.assertEqual(spillway.child.returncode, 0)
                waiting = socket.create_connection(("127.0.0.1", port))  # nobody serves, and yet
                waiting.close()
                writers.stop.clear()
                writers.threads = [threading.Thread(target=writers.guarded, args=(n,)) for n in range(WRITERS)]
                writers.__enter__()
            with self.activated(port, listener):
                writers.go_on()
                writers.__exit__()
        self.assertEqual(writers.faults, [])

    def notified(self, **env):
        folder = self.redis.directory
        box = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(box.close)
        box.bind(str(folder / "notify"))
        box.settimeout(10)
        self.start(env={"NOTIFY_SOCKET": str(folder / "notify"), **env})
        return box

    def test_is_told_how_the_service_stands(self):
        box = self.notified()
        self.assertEqual(box.recv(1000), b"READY=1")
        os.kill(self.pids[0], signal.SIGHUP)
        self.assertRegex(box.recv(1000), rb"^RELOADING=1\nMONOTONIC_USEC=\d+$")
        self.assertEqual(box.recv(1000), b"READY=1")
        self.take_over()
        said = {box.recv(1000), box.recv(1000)}
        self.assertEqual(said, {b"READY=1", b"MAINPID=%d" % self.pids[-1]})
        os.kill(self.pids[-1], signal.SIGTERM)
        self.assertEqual(box.recv(1000), b"STOPPING=1")

    def test_watchdog_is_fed(self):
        box = self.notified(WATCHDOG_USEC="200000")
        self.assertEqual({box.recv(1000) for _ in range(5)}, {b"READY=1", b"WATCHDOG=1"})

    def test_an_inherited_socket_that_nobody_configured_is_told(self):
        port = free_port()
        listener = self.listening(port)
        spillway = self.activated(free_port(), listener)
        with spillway:
            self.spillway = spillway
            self.assertTrue(self.notes(f"nothing is configured to listen on the inherited 127.0.0.1:{port}"))


if __name__ == "__main__":
    unittest.main()
