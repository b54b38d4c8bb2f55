# Reloads while clients are served: what changes at once, what waits, what a bad file changes (nothing), and no reply lost.
import json
import os
import resource
import signal
import threading
import unittest

from harness import RedisServer, Spillway, toml, until
from test_guard import MB, GuardTest
from wire import ErrorReply, Wire

RELOADS, WRITERS, PIPELINE = 50, 6, 20


class ReloadTest(GuardTest):
    """Over a ceiling of 8 MB that the data has passed, so that protect refuses what observe lets pass."""
    flags, extra = (), {}

    def setUp(self):
        self.redis = self.enterContext(RedisServer())
        self.spillway = self.enterContext(Spillway(
            self.redis, flags=self.flags, guard={"mode": "protect"},
            monitor={"ceiling": "8mb", "policy": "noeviction", "interval": "20ms"}, **self.extra))
        self.redis.command("SETRANGE", "fill", 9 * MB, "x")
        until("no room", lambda: self.spillway.metric("spillway_backend_headroom_bytes") < 0)

    def write_file(self, **sections):
        """Replaces the file, whole, by the configuration with these sections instead."""
        text = toml({**self.spillway.config, **sections}) + "\n"
        self.write_text(text)
        return text

    def write_text(self, text):
        new = self.spillway.config_path.with_suffix(".new")
        new.write_text(text)
        os.replace(new, self.spillway.config_path)

    def reloads(self, result="applied"):
        return self.spillway.metric("spillway_config_reloads_total", result=result)

    def hang_up(self, result="applied"):
        """SIGHUP, and waits for what comes of it."""
        before = self.reloads(result)
        self.spillway.child.send_signal(signal.SIGHUP)
        until(f"a reload that is {result}", lambda: self.reloads(result) > before)

    def post(self, headers=None):
        status, body, _ = self.spillway.request("POST", "/api/v1/reload", headers=headers)
        return status, json.loads(body)


class Reload(ReloadTest):
    def test_modes_and_rules_switch_on_connections_that_stand(self):
        wire = self.wire()
        self.assert_refused(wire.command("SET", "a", 1))
        self.write_file(guard={"mode": "observe"})
        self.hang_up()
        self.assertEqual(wire.command("SET", "a", 1), "OK")
        rule = {"name": "a", "keys": ["a*"], "priority": "critical"}
        self.write_file(guard={"mode": "protect", "rule": [rule]})
        status, answer = self.post()
        self.assertEqual((status, answer["live"]), (200, ["guard.mode", "guard.rule"]))
        self.assertEqual(wire.command("SET", "a", 1), "OK")
        self.assert_refused(wire.command("SET", "b", 1))
        changed = [row["live"] for row in self.spillway.records("config_reloaded")]
        self.assertEqual(changed, [["guard.mode"], ["guard.mode", "guard.rule"]])

    def test_the_rest_is_told_and_waits(self):
        listener = {**self.spillway.config["listener"][0], "max_clients": 1}
        self.write_file(workers=3, listener=[listener])
        first = self.wire()
        status, answer = self.post()
        self.assertEqual(status, 200)
        self.assertEqual((answer["live"], answer["new_connections"], answer["restart"]),
                         ([], ["listener[0].max_clients"], ["workers"]))
        record = self.spillway.record("config_reloaded")
        self.assertEqual(record["restart"], ["workers"])
        self.assertEqual(first.command("PING"), "PONG")
        self.assertIn("max number of clients", str(self.wire().reply()))
        self.assertIn("workers = 2", self.spillway.api("config")["effective"])
        self.assertEqual(self.post()[1]["restart"], ["workers"])  # said until it is done

    def test_proxy_protocol_switches_for_new_connections(self):
        stands = self.wire()
        self.assertEqual(stands.command("PING"), "PONG")
        listener = {**self.spillway.config["listener"][0], "proxy_protocol": "v1"}
        self.write_file(listener=[listener])
        self.assertEqual(self.post()[1]["new_connections"], ["listener[0].proxy_protocol"])
        self.assertEqual(stands.command("PING"), "PONG")
        wire = self.wire()
        wire.send(b"PROXY TCP4 10.1.2.3 10.0.0.2 52110 6380\r\n")
        self.assertEqual(wire.command("PING"), "PONG")
        self.assertIn("10.1.2.3:52110", [row["address"] for row in self.spillway.api("clients")["clients"]])

    def test_a_bad_file_changes_nothing_and_all_of_it_is_told(self):
        before = self.spillway.api("config")
        self.write_text('workers = 2\n[guard]\nmode = "observ"\nshed_at = 7\n')
        self.hang_up("rejected")
        status, answer = self.post()
        self.assertEqual(status, 409)
        self.assertEqual([problem.split(": ")[0] for problem in answer["problems"]],
                         [f"{self.spillway.config_path}:{place}" for place in ("3:8", "4:11")])
        for record in self.spillway.records("config_rejected"):
            self.assertEqual(record["errors"], answer["problems"])
        self.assertEqual(self.reloads("rejected"), 2)
        self.assertEqual(self.reloads(), 0)
        self.assertEqual(self.spillway.api("config"), before)
        self.assert_refused(self.wire().command("SET", "a", 1))

    def test_a_file_that_vanished_changes_nothing(self):
        self.spillway.config_path.unlink()
        self.hang_up("rejected")
        self.assertIn("No such file", self.spillway.record("config_rejected")["errors"][0])
        self.assert_refused(self.wire().command("SET", "a", 1))
        self.write_file(guard={"mode": "off"})
        self.hang_up()
        self.assertEqual(self.wire().command("SET", "a", 1), "OK")

    def test_log_level_and_keys(self):
        self.assert_refused(self.wire().command("SET", "user:1234", 1))
        self.assertEqual(self.spillway.record("refused")["key"], "user:*")
        self.write_file(log={"format": "json", "keys": "none", "level": "error"})
        self.hang_up()
        self.write_text("nonsense")
        self.hang_up("rejected")
        self.assertEqual(len(self.spillway.records("config_rejected")), 1)
        self.assertEqual(self.spillway.records("config_reloaded"), [])  # of level info

    def test_a_mode_set_by_request_lasts_until_the_file_is_read_again(self):
        wire = self.wire()
        self.spillway.request("POST", "/api/v1/mode", '{"mode": "observe"}')
        self.assertEqual(wire.command("SET", "a", 1), "OK")
        self.assertRegex(self.spillway.api("config")["effective"],
                         r'mode = "observe" +# POST /api/v1/mode')
        self.assertEqual(self.post()[1]["live"], ["guard.mode"])
        self.assert_refused(wire.command("SET", "a", 1))

    def test_a_token_holds_from_the_next_request(self):
        admin = self.spillway.config["admin"]
        self.write_file(admin={**admin, "token": "first-secret"})
        self.assertEqual(self.post()[0], 200)
        self.assertEqual(self.post()[0], 401)
        self.write_file(admin={**admin, "token": "second-secret"})
        self.assertEqual(self.post({"Authorization": "Bearer first-secret"})[0], 200)
        self.assertEqual(self.post({"Authorization": "Bearer first-secret"})[0], 401)
        self.assertEqual(self.post({"Authorization": "Bearer second-secret"})[0], 200)
        self.assertNotIn("second-secret", self.spillway.output())

    def test_new_connections_go_to_a_new_backend(self):
        other = self.enterContext(RedisServer())
        old = self.wire()
        self.assertEqual(old.command("PING"), "PONG")
        self.write_file(backend={"url": other.url})
        self.hang_up()
        self.spillway.record("backend_up", backend=f"127.0.0.1:{other.port}")
        self.assertEqual(self.wire().command("SET", "new", 1), "OK")
        self.assertEqual(other.command("GET", "new"), b"1")
        self.assertEqual(old.command("STRLEN", "fill"), 9 * MB + 1)
        self.assertEqual(self.spillway.records("backend_down"), [])

    def test_a_new_backend_is_not_judged_by_the_old_ones_memory(self):
        other = self.enterContext(RedisServer())
        old = self.wire()
        self.assert_refused(old.command("SET", "a", 1))
        self.write_file(backend={"url": other.url})
        other.child.send_signal(signal.SIGSTOP)  # so that it cannot tell of its memory
        try:
            self.assertEqual(self.post()[0], 200)
            guard = self.spillway.api("status")["guard"]
            self.assertEqual((guard["state"], guard["reason"]),
                             ("blind", "the backend has changed"))
            self.assertEqual(old.command("SET", "a", 1), "OK")
        finally:
            other.child.send_signal(signal.SIGCONT)
        self.spillway.record("backend_up", backend=f"127.0.0.1:{other.port}")


class Monitor(unittest.TestCase):
    def test_authenticates_anew_when_its_password_changed(self):
        redis = self.enterContext(RedisServer(password="first-secret"))
        spillway = Spillway(f"redis://127.0.0.1:{redis.port}")
        secret = spillway.directory / "password"
        secret.write_text("first-secret\n")
        spillway.config["monitor"] = {"password_file": str(secret)}
        self.enterContext(spillway)

        def monitors():
            return [row["id"] for row in redis.clients() if row["name"] == "spillway-monitor"]
        before = monitors()
        self.assertEqual(len(before), 1)
        redis.command("CONFIG", "SET", "requirepass", "second-secret")
        secret.write_text("second-secret\n")
        status, body, _ = spillway.request("POST", "/api/v1/reload")
        self.assertEqual((status, json.loads(body)["live"]), (200, ["monitor.password_file"]))
        until("a monitor that has connected anew", lambda: monitors() and monitors() != before)
        self.assertEqual(spillway.records("backend_down"), [])
        self.assertNotIn("second-secret", spillway.output())
        spillway.request("POST", "/api/v1/reload")  # the same again: it keeps its connection
        self.assertEqual(len(monitors()), 1)


    def test_the_admin_token_comes_from_its_file(self):
        spillway = Spillway(self.enterContext(RedisServer()))
        secret = spillway.directory / "token"
        secret.write_text("first-secret\n")
        spillway.config["admin"]["token_file"] = str(secret)
        self.enterContext(spillway)

        def reload(token):
            return spillway.request("POST", "/api/v1/reload", headers={"Authorization": f"Bearer {token}"})
        self.assertEqual(reload("wrong")[0], 401)
        self.assertEqual(reload("first-secret")[0], 200)
        secret.write_text("second-secret\n")
        self.assertEqual(json.loads(reload("first-secret")[1])["live"], ["admin.token_file"])
        self.assertEqual(reload("first-secret")[0], 401)
        secret.unlink()
        status, body, _ = reload("second-secret")
        self.assertIn(f'admin.token_file: "{secret}": cannot open: No such file or directory',
                      json.loads(body)["problems"][0])
        self.assertEqual(reload("second-secret")[0], status, "the old one holds")
        self.assertNotIn("secret\"", spillway.output())


class Warnings(ReloadTest):
    def test_what_can_hardly_be_meant_is_told_at_each_reload(self):
        rule = {"name": "drain", "commands": ["LPOOP", "json.set", "XGROUP CREATE"], "priority": "critical"}
        self.write_file(guard={"rule": [rule]})
        status, answer = self.post()
        self.assertEqual((status, len(answer["warnings"])), (200, 1))
        self.assertRegex(answer["warnings"][0],
                         r'^.*:\d+:\d+: guard\.rule\[0\]\.commands: no command "LPOOP" is known; did you mean LPOP\?')
        until("the same in the log", lambda: answer["warnings"][0] in [row["msg"] for row in self.spillway.records("note")])

    def test_too_many_clients_are_told_of_once(self):
        listener = {**self.spillway.config["listener"][0], "max_clients": 1_000_000}
        self.write_file(listener=[listener])
        for _ in range(3):
            self.post()
        until("all of them", lambda: len(self.spillway.records("config_reloaded")) == 3)
        told = [row for row in self.spillway.records("note") if "max_clients allows 1000000" in row["msg"]]
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self.assertEqual(len(told), 1 if 0 < limit < 2_000_000 else 0)


class FlagsWin(ReloadTest):
    flags = ("--mode", "protect")

    def test_over_the_file_at_each_reload(self):
        self.write_file(guard={"mode": "off", "shed_at": 0.9})
        self.assertEqual(self.post()[1]["live"], ["guard.shed_at"])
        self.assert_refused(self.wire().command("SET", "a", 1))


class UnderLoad(ReloadTest):
    def test_no_command_is_dropped(self):
        stop, faults = threading.Event(), []
        done, refused = [0] * WRITERS, [0] * WRITERS

        def write(writer):
            with Wire(self.spillway.endpoint) as wire:
                while not stop.is_set():
                    for reply in wire.pipeline([("INCR", f"n:{writer}")] * PIPELINE):
                        if isinstance(reply, ErrorReply) and reply.startswith("OOM spillway"):
                            refused[writer] += 1
                            continue
                        done[writer] += 1
                        if reply != done[writer]:
                            faults.append((writer, reply, done[writer]))
                            return

        def guarded(writer):
            try:
                write(writer)
            except BaseException as error:  # whatever ends a writer early is a lost reply
                faults.append((writer, repr(error)))

        threads = [threading.Thread(target=guarded, args=(n,)) for n in range(WRITERS)]
        for thread in threads:
            thread.start()
        rule = {"name": "some", "keys": ["n:1", "n:2"], "priority": "critical"}
        try:
            for turn in range(RELOADS):
                self.write_file(guard={"mode": "observe"} if turn % 2 else
                                {"mode": "protect", "rule": [rule]})
                self.hang_up()
                part = done if turn % 2 else refused  # each file is seen at work before the next
                before = sum(part)
                until("writers that go on", lambda: faults or sum(part) > before)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(faults, [])
        self.assertEqual(self.reloads(), RELOADS)
        for writer in range(WRITERS):
            self.assertEqual(int(self.redis.command("GET", f"n:{writer}")), done[writer])
        self.assertGreater(min(refused[0], *refused[3:]), 0)
        self.assertEqual(self.spillway.metric("spillway_client_connections_total"), WRITERS)


if __name__ == "__main__":
    unittest.main()
