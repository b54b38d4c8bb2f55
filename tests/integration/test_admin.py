# The admin endpoints as monitoring systems and operators use them.
import json
import shutil
import socket
import subprocess
import unittest

from harness import RedisServer, Spillway, until
from wire import Wire, encode

METRICS = """build_info clients client_connections_total client_connections_refused_total backend_connections
backend_up commands_total bytes_total backend_used_memory_bytes backend_counted_memory_bytes backend_ceiling_bytes
backend_headroom_bytes backend_evictable_bytes backend_growth_bytes_per_second backend_time_to_ceiling_seconds
backend_sample_age_seconds guard_state guard_mode oom_replies_total held_commands hold_seconds command_seconds
relay_buffer_bytes spool_bytes spool_overflows_total config_reloads_total""".split()
LABELS = {
    "guard_state": {"state": {"off", "blind", "plenty", "paced", "reserve", "ceiling"}},
    "guard_mode": {"mode": {"off", "observe", "protect"}},
    "commands_total": {"class": {"growing", "unbounded", "script", "ungated", "freeing", "other"},
                       "verdict": {"pass", "held", "refused", "would_hold", "would_refuse"}},
    "oom_replies_total": {"origin": {"backend", "guard"}},
}


def http_raw(port, request):
    """The status line's code for raw bytes; 0 when the server just closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        answer = b""
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                answer += data
        except OSError:  # it closed before it had read all; what it said before counts
            pass
    return int(answer.split(b" ")[1]) if answer else 0


class AdminTest(unittest.TestCase):
    def start(self, **sections):
        self.redis = self.enterContext(RedisServer(maxmemory="64mb", maxmemory_policy="noeviction",
                                                   enable_debug_command="yes"))
        self.spillway = self.enterContext(Spillway(self.redis, **sections))

    def wire(self):
        return self.enterContext(Wire(self.spillway.endpoint))


class Metrics(AdminTest):
    def setUp(self):
        self.start()

    def test_promtool_accepts_them(self):
        if not shutil.which("promtool"):
            self.skipTest("promtool (Debian package prometheus) is not installed")
        self.wire().pipeline([("SET", "k", "v"), ("GET", "k"), ("nosuch",)])
        status, text, headers = self.spillway.get("/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("text/plain"))
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_every_name_and_label_of_the_contract(self):
        text = self.spillway.get("/metrics")[1]
        types = dict(line.split()[2:4] for line in text.splitlines() if line.startswith("# TYPE"))
        self.assertEqual([name for name in METRICS if "spillway_" + name not in types], [])
        self.assertEqual([name for name in types if not name.startswith("spillway_")], [])
        for name in ("hold_seconds", "command_seconds"):
            self.assertEqual(types["spillway_" + name], "histogram")
        self.assertEqual([name for name, kind in types.items() if kind == "counter" and not name.endswith("_total")],
                         [])
        series = self.spillway.metrics()
        for name, labels in LABELS.items():
            for label, wanted in labels.items():
                seen = {row.split(f'{label}="')[1].split('"')[0] for row in series
                        if row.startswith(f"spillway_{name}{{") and f'{label}="' in row}
                self.assertLessEqual(seen, wanted, name)
                self.assertTrue(seen, name)
        present = [state for state in LABELS["guard_state"]["state"]
                   if series[f'spillway_guard_state{{state="{state}"}}'] == 1]
        self.assertEqual(len(present), 1, present)
        self.assertEqual(series['spillway_guard_mode{mode="protect"}'], 1)

    def test_they_count(self):
        wire, size = self.wire(), 600
        requests = [("SET", "k", "v"), ("GET", "k"), ("EVAL", "return 1", 0), ("DEL", "k"), ("PING",),
                    ("EXPIRE", "k", 9)]
        data = b"".join(encode(*request) for request in requests) * size
        self.redis.control.send(encode("DEBUG", "SLEEP", 0.5))  # so that all are under way at once
        wire.send(data)
        for _ in range(size * len(requests)):
            wire.reply()
        self.redis.control.reply()
        metric = self.spillway.metric
        until("all commands counted", lambda: metric("spillway_commands_total") == size * len(requests))
        for name, wanted in (("growing", size), ("script", size), ("freeing", size)):
            self.assertEqual(metric("spillway_commands_total", **{"class": name}), wanted, name)
        # While the server sleeps there is no sample, and one may wait for the next.
        self.assertEqual(metric("spillway_commands_total", verdict="pass")
                         + metric("spillway_commands_total", verdict="held"), size * len(requests))
        self.assertGreaterEqual(metric("spillway_bytes_total"), 2 * len(data))
        self.assertEqual(metric("spillway_client_connections_total"), 1)
        self.assertEqual(metric("spillway_clients"), 1)
        self.assertEqual(metric("spillway_backend_up"), 1)
        self.assertEqual(metric("spillway_command_seconds_count"), size * len(requests))
        for name in LABELS["commands_total"]["class"]:
            self.assertLessEqual(metric("spillway_command_seconds_count", **{"class": name}),
                                 metric("spillway_commands_total", **{"class": name}), name)

    def test_memory_as_redis_says_it(self):
        self.redis.fill(0.5)
        until("a sample of all of it", lambda: abs(self.spillway.metric("spillway_backend_used_memory_bytes")
                                                   - self.redis.used_memory()) < 1 << 20)
        metrics = self.spillway.metrics()
        value = {name: metrics[f"spillway_backend_{name}_bytes"]
                 for name in ("used_memory", "counted_memory", "ceiling", "headroom", "evictable")}
        self.assertEqual(value["ceiling"], 64 << 20)
        self.assertEqual(value["headroom"], value["ceiling"] - value["counted_memory"] + value["evictable"])
        self.assertEqual(value["evictable"], 0)
        self.assertLess(self.spillway.metric("spillway_backend_sample_age_seconds"), 3)


class Documents(AdminTest):
    def test_health(self):
        self.start()
        for path in ("/livez", "/readyz"):
            status, body, _ = self.spillway.get(path)
            self.assertEqual((status, bool(body)), (200, True), path)
        self.redis.kill()
        until("not ready", lambda: self.spillway.get("/readyz")[0] == 503)
        self.assertTrue(self.spillway.get("/readyz")[1].strip(), "a reason")
        self.assertEqual(self.spillway.get("/livez")[0], 200)

    def test_status(self):
        self.start()
        self.spillway.wait_state("plenty")
        self.wire().command("PING")
        status = self.spillway.api("status")
        for name in ("version", "workers", "listeners", "clients"):
            self.assertIn(name, status)
        text = json.dumps(status)
        for fact in (f"127.0.0.1:{self.spillway.port}", f"127.0.0.1:{self.redis.port}", "plenty", "noeviction",
                     str(64 << 20)):
            self.assertIn(fact, text)

    def test_a_change_of_mode_is_recorded(self):
        self.start()
        self.assertEqual(self.spillway.request("POST", "/api/v1/mode", '{"mode":"observe"}')[0], 200)
        note = self.spillway.record("note", to="observe")
        self.assertEqual((note["level"], note["from"]), ("info", "protect"))

    def test_a_client_has_its_bytes(self):
        self.start()
        wire = self.wire()
        name, value = encode("CLIENT", "SETNAME", "me"), b"x" * 300_000
        self.assertEqual(wire.command("CLIENT", "SETNAME", "me"), "OK")
        self.assertEqual(wire.command("SET", "k", value), "OK")
        self.assertEqual(wire.command("GET", "k"), value)
        sent = len(name) + len(encode("SET", "k", value)) + len(encode("GET", "k"))
        got = 2 * len(b"+OK\r\n") + len(b"$300000\r\n") + len(value) + 2
        row, = (row for row in self.spillway.api("clients")["clients"] if row["name"] == "me")
        self.assertEqual((row["bytes_in"], row["bytes_out"], row["bytes"]), (sent, got, sent + got))
        self.assertEqual((row["held"], row["held_s"]), (False, 0))

    def test_config_shows_the_values_and_hides_secrets(self):
        redis = self.enterContext(RedisServer(password="hunter2"))
        spillway = self.enterContext(Spillway(redis, guard={"shed_at": 0.93}, admin={"token": "topsecret"}))
        text = json.dumps(spillway.api("config"))
        self.assertIn("0.93", text)
        self.assertNotIn("hunter2", text + spillway.output() + json.dumps(spillway.api("status")))
        self.assertNotIn("topsecret", text + spillway.output())

    def test_incidents_are_empty_at_first(self):
        self.start()
        self.assertEqual(self.spillway.api("incidents"), {"incidents": []})


class Garbage(AdminTest):
    REQUESTS = (
        (b"GET /nosuch HTTP/1.1\r\nHost: a\r\n\r\n", {404}), (b"GET /api/v1/ HTTP/1.1\r\nHost: a\r\n\r\n", {404}),
        (b"GET /api/v1/incidents/none HTTP/1.1\r\nHost: a\r\n\r\n", {404}),
        (b"GET /metrics/../metrics HTTP/1.1\r\nHost: a\r\n\r\n", {400, 404}),
        (b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", {405}),
        (b"DELETE /livez HTTP/1.1\r\nHost: a\r\n\r\n", {405}), (b"GET /api/v1/mode HTTP/1.1\r\nHost: a\r\n\r\n", {405}),
        (b"\x00\xff\x16\x03\x01 garbage\r\n\r\n", {0, 400}), (b"*1\r\n$4\r\nPING\r\n", {0, 400}),
        (b"GET\r\n\r\n", {0, 400}),
        (b"GET /livez HTTP/9.9\r\n\r\n", {0, 400, 505}), (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
                                                          {400, 404, 414, 431}),
        (b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", {400, 413, 431}),
        (b"POST /api/v1/mode HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n{}", {400, 401, 403, 413}),
        (b"POST /api/v1/mode HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 7\r\n\r\n{garbag", {400}),
        (b"POST /api/v1/mode HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 15\r\n\r\n{\"mode\":\"nosu\"}", {400}),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", {0, 200, 400}),
        (b"HEAD /livez HTTP/1.1\r\nHost: a\r\n\r\n", {200, 405}),
    )

    def test_each_gets_its_error_and_the_next_request_works(self):
        self.start()
        for request, wanted in self.REQUESTS:
            with self.subTest(request[:60]):
                self.assertIn(http_raw(self.spillway.admin_port, request), wanted)
                self.assertEqual(self.spillway.get("/livez")[0], 200)

    def test_idle_connections_do_not_block_it(self):
        self.start()
        held = [socket.create_connection(("127.0.0.1", self.spillway.admin_port)) for _ in range(30)]
        for connection in held:
            self.addCleanup(connection.close)
            connection.sendall(b"GET /livez HTT")
        self.assertEqual(self.spillway.get("/livez")[0], 200)

    def test_keep_alive_and_pipelining(self):
        self.start()
        with socket.create_connection(("127.0.0.1", self.spillway.admin_port), timeout=10) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n" * 2
                               + b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer = b""
            while data := connection.recv(65536):
                answer += data
        self.assertEqual(answer.count(b"HTTP/1.1 200"), 3)


class Changes(AdminTest):
    def mode(self, body, token=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.spillway.request("POST", "/api/v1/mode", body, headers)[0]

    def test_mode(self):
        self.start(monitor={"ceiling": "1mb", "policy": "noeviction", "interval": "20ms"})
        self.redis.command("SETRANGE", "fill", 2 << 20, "x")
        until("no room", lambda: self.spillway.metric("spillway_backend_headroom_bytes") < 0)
        wire = self.wire()
        self.assertIn("spillway refused", wire.command("SET", "k", "v"))
        self.assertEqual(self.mode('{"mode":"observe"}'), 200)
        self.assertEqual(wire.command("SET", "k", "v"), "OK")
        self.assertEqual(self.spillway.metric("spillway_guard_mode", mode="observe"), 1)
        self.assertEqual(self.mode('{"mode":"protect"}'), 200)
        until("protected again", lambda: "spillway refused" in wire.command("SET", "k", "v"))
        self.assertEqual(self.mode('{"mode":"off"}'), 200)
        self.assertEqual(wire.command("SET", "k", "v"), "OK")

    def test_token(self):
        self.start(admin={"token": "sesame"})
        self.assertEqual(self.mode('{"mode":"observe"}'), 401)
        self.assertEqual(self.mode('{"mode":"observe"}', "wrong"), 401)
        self.assertEqual(self.spillway.metric("spillway_guard_mode", mode="protect"), 1)
        self.assertEqual(self.mode('{"mode":"observe"}', "sesame"), 200)
        self.assertEqual(self.spillway.metric("spillway_guard_mode", mode="observe"), 1)
        for path in ("/metrics", "/livez", "/api/v1/status", "/api/v1/config"):
            self.assertEqual(self.spillway.get(path)[0], 200, "reading needs none")


if __name__ == "__main__":
    unittest.main()
