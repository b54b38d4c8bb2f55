# Planted incidents and healthy look-alikes on a real server, each with one right answer of doctor and of the record.
import contextlib
import json
import subprocess
import threading
import unittest

from harness import REDIS, RedisServer, Spillway, spillway_command, until
from wire import Wire, encode

MB = 1 << 20
REFUSED = "OOM command not allowed"


def doctor(url, *flags, seconds=60):
    """(exit status, standard output, standard error) of spillway doctor."""
    done = subprocess.run([*spillway_command(), "doctor", *flags, *([url] if url else [])], capture_output=True,
                          text=True, timeout=seconds, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


class Zoo(unittest.TestCase):
    binary = REDIS
    STATUS = {"healthy": 0, "at-risk": 3, "oom": 4}

    def server(self, maxmemory="64mb", policy="noeviction", **settings):
        self.redis = self.enterContext(RedisServer(binary=self.binary, maxmemory=maxmemory, maxmemory_policy=policy,
                                                   **settings))
        return self.redis

    def wire(self):
        return self.enterContext(Wire(self.redis.endpoint))

    def refuse(self, wire=None, key="order:{}", size=2000, count=400, command="SET"):
        """Small writes until the server refuses one."""
        for start in range(0, 200_000, count):
            for reply in (wire or self.redis.control).pipeline(
                    [(command, key.format(start + n), "x" * size) for n in range(count)]):
                if str(reply).startswith(REFUSED):
                    return
        raise AssertionError("nothing was refused")

    def limit_to(self, share):
        """maxmemory such that what is used now is that share of it."""
        limit = int(self.redis.counted() / share)
        self.redis.command("CONFIG", "SET", "maxmemory", limit)
        return limit

    def look(self):
        code, out, err = doctor(self.redis.url, "--json")
        self.assertEqual(err, "")
        told = json.loads(out)
        self.assertEqual(code, self.STATUS[told["state"]], told)
        info = self.redis.info()
        for name, real in (("used", info["used_memory"]), ("ceiling", info["maxmemory"])):
            if int(real):
                self.assertAlmostEqual((told["memory"][name] or 0) / int(real), 1, delta=0.05, msg=f"{name} of {told}")
        self.assertEqual(told["memory"]["policy"], info["maxmemory_policy"])
        return told

    @staticmethod
    def short(told):
        return json.dumps({**told, "sampled": None}, indent=1)

    def sick(self, cause, *names, state=("oom",), told=None):
        told = told or self.look()
        self.assertEqual(told["cause"], cause, self.short(told))
        self.assertIn(told["state"], state, told)
        self.assertGreater(told["confidence"], 0.5)
        said = " ".join(told["evidence"] + told["advice"])
        for name in names:
            self.assertIn(name, said)
        return told

    def healthy(self):
        told = self.look()
        self.assertEqual((told["state"], told["cause"]), ("healthy", None), self.short(told))
        return told

    @contextlib.contextmanager
    def background(self, step):
        """Runs step(wire) again and again on a connection of its own while the block lasts."""
        stop, wire = threading.Event(), self.wire()
        def run():
            while not stop.is_set():
                step(wire)
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(20)


class Incidents(Zoo):
    def test_noeviction_at_the_ceiling(self):
        self.server()
        self.redis.fill(0.5, size=3000, prefix="cart:")
        self.refuse(key="cart:new:{}")
        told = self.sick("noeviction-at-ceiling", "cart:", "none of it with a TTL", "maxmemory-policy allkeys-lru")
        self.assertEqual(told["also"], [])

    def test_noeviction_with_a_ttl_on_most_keys(self):
        self.server()
        while self.redis.control.pipeline([("SET", f"session:{n}", "x" * 900, "EX", 9999) for n in range(70_000)])[-1] == "OK":
            pass
        told = self.sick("noeviction-at-ceiling", "volatile-ttl")
        self.assertGreater(told["sampled"]["with_ttl_bytes"]["share"], 0.98)

    def test_a_queue_that_nobody_consumes(self):
        self.server()
        self.refuse(key="jobs:{}", command="RPUSH")
        told = self.sick("noeviction-at-ceiling", "do not turn on allkeys")
        self.assertNotIn("maxmemory-policy allkeys", " ".join(told["advice"]))

    def test_a_queue_of_an_innocent_name(self):
        self.server()
        for start in range(0, 200):
            replies = self.redis.control.pipeline([("RPUSH", f"a{start % 7}", "x" * 900) for _ in range(500)])
            if str(replies[-1]).startswith(REFUSED):
                break
        told = self.sick("noeviction-at-ceiling", "do not turn on allkeys")
        self.assertNotIn("maxmemory-policy allkeys", " ".join(told["advice"]))

    def test_no_evictable_keys(self):
        self.server(policy="volatile-lru")
        self.refuse(key="profile:{}")
        told = self.sick("no-evictable-keys", "profile:*", "volatile-lru", "with a TTL")
        self.assertEqual(told["keyspace"]["with_ttl"], 0)

    def test_few_evictable_keys(self):
        self.server(policy="volatile-lru")
        self.redis.control.pipeline([("SET", f"session:{n}", "x" * 1000, "EX", 9999) for n in range(8000)])
        self.refuse(key="profile:{}")
        self.sick("few-evictable-keys", "profile:*", "evicted")

    def test_one_hash_of_sixty_percent(self):
        self.server(maxmemory=0)
        self.redis.command("EVAL", "for i = 1, 200000 do redis.call('set', 'k:' .. i, 'value-' .. i) end", 0)
        for part in range(20):
            self.redis.command("EVAL", "for i = 1, 15000 do redis.call('hset', 'sessions', ARGV[1] .. i, "
                               "'value of some bytes for ' .. i) end", 0, f"{part}:")
        self.redis.command("SLOWLOG", "RESET")
        self.limit_to(0.999)
        self.refuse()
        told = self.sick("big-key", "sessions", "300,000 fields", "UNLINK")
        biggest = told["sampled"]["biggest"][0]
        self.assertEqual((biggest["key"], biggest["type"], biggest["length"]), ("sessions", "hash", 300_000))

    def test_one_list_dominates(self):
        self.server()
        self.redis.fill(0.2, size=500, prefix="user:")
        while not str(self.redis.control.pipeline([("RPUSH", "events", "x" * 200)] * 500)[-1]).startswith(REFUSED):
            pass
        told = self.sick("big-key", "events", "LTRIM events")
        self.assertNotIn("maxmemory-policy allkeys", " ".join(told["advice"]))

    def test_one_large_string(self):
        self.server()
        self.redis.fill(0.2, size=1000, prefix="user:")
        self.redis.command("SETRANGE", "bitmap", 42 * MB, "x")
        self.refuse(size=500)
        self.sick("big-key", "bitmap")

    def test_client_output_buffers(self):
        self.server()
        self.redis.command("SET", "report", "x" * MB)
        slow = self.wire()
        slow.command("CLIENT", "SETNAME", "reporter")
        slow.socket.sendall(encode("GET", "report") * 100)
        until("unread replies", lambda: int(self.redis.info("clients")["client_recent_max_output_buffer"]) > 50 * MB)
        until("figures that follow", lambda: int(self.redis.info("memory")["mem_clients_normal"]) > 40 * MB)
        self.sick("client-buffers", "reporter", "CLIENT KILL ID")

    def test_client_query_buffers(self):
        self.server()
        wires = [self.wire() for _ in range(6)]
        for wire in wires:
            wire.socket.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % (12 * MB) + b"x" * MB)
        until("query buffers", lambda: int(self.redis.info("memory")["mem_clients_normal"]) > 50 * MB)
        self.sick("client-buffers", "queries")

    def test_replication_backlog(self):
        self.server(repl_backlog_size="45mb", repl_diskless_sync_delay=0)
        replica = self.enterContext(RedisServer(binary=self.binary))
        replica.command("REPLICAOF", "127.0.0.1", self.redis.port)
        until("a replica", lambda: replica.info("replication")["master_link_status"] == "up")
        for _ in range(60):
            self.redis.control.pipeline([("SET", "same", "x" * 10_000)] * 100)
        self.redis.fill(0.98, size=1000, prefix="user:")
        self.refuse()
        self.sick("replication-buffers", "repl-backlog-size")

    def test_cached_scripts(self):
        self.server(maxmemory="24mb")
        for start in range(0, 60_000, 500):
            replies = self.redis.control.pipeline(
                [("SCRIPT", "LOAD", f"return 'order {n}' -- " + "x" * 1000) for n in range(start, start + 500)])
            if self.redis.counted() > 23 * MB:
                break
        self.refuse(size=4000)
        self.sick("script-memory", "KEYS and ARGV", "SCRIPT FLUSH")

    def test_subscriptions(self):
        self.server(maxmemory="32mb")
        wire = self.wire()
        for start in range(0, 300_000, 1000):
            wire.socket.sendall(encode("SUBSCRIBE", *(f"channel:{n}:" + "x" * 100 for n in range(start, start + 1000))))
            for _ in range(1000):
                wire.reply()
            if self.redis.counted() > 31.5 * MB:
                break
        self.refuse(size=4000)
        self.sick("non-data-overhead", "subscribed to", "channels")

    def test_a_limit_below_an_empty_server(self):
        self.server(maxmemory="700kb")
        self.refuse(size=10)
        self.sick("non-data-overhead", "empty server", "raise maxmemory")

    def test_the_ceiling_was_lowered(self):
        self.server(maxmemory="96mb")
        self.redis.fill(0.8, size=2000, prefix="cart:")
        self.redis.command("CONFIG", "SET", "maxmemory", "50mb")
        self.refuse()
        self.sick("ceiling-lowered", "CONFIG SET maxmemory")

    def test_a_promoted_replica(self):
        self.server(maxmemory=0, repl_diskless_sync_delay=0)
        primary = self.redis
        primary.command("EVAL", "for i = 1, 40000 do redis.call('set', 'cart:' .. i, string.rep('x', 900)) end", 0)
        self.server(maxmemory="25mb")
        self.redis.command("REPLICAOF", "127.0.0.1", primary.port)
        until("synchronised", lambda: self.redis.info("replication")["master_link_status"] == "up")
        self.healthy()
        self.redis.command("REPLICAOF", "NO", "ONE")
        self.refuse()
        self.sick("replica-promoted", "replica ignores maxmemory")

    def test_lazy_frees_are_pending(self):
        self.server(maxmemory=0)
        for part in range(40):
            self.redis.command("EVAL", "for i = 1, 20000 do redis.call('sadd', KEYS[1], i .. ':member') end", 1, f"s{part}")
        self.limit_to(1)
        with self.background(lambda wire: wire.pipeline(
                [("EVAL", "for i = 1, 20000 do redis.call('sadd', KEYS[1], i .. ':member') end", 1, f"t{n}") for n in range(2)]
                + [("UNLINK", f"t{n}") for n in range(2)])):
            told = self.look()
        self.assertIn(told["cause"], ("lazyfree-pending", "noeviction-at-ceiling", None), told)

    def test_a_burst_of_writes(self):
        self.server(maxmemory="256mb")
        self.redis.fill(0.3, size=1000, prefix="old:")
        until("older keys", lambda: self.redis.command("OBJECT", "IDLETIME", "old:70000") > 2)
        counter = iter(range(10**9))
        with self.background(lambda wire: wire.pipeline([("SET", f"import:{next(counter)}", "x" * 1000)
                                                         for _ in range(100)]) and threading.Event().wait(0.02)):
            self.sick("write-burst", "import:*", state=("at-risk",))


class Healthy(Zoo):
    def test_an_empty_server(self):
        self.server()
        self.healthy()

    def test_a_full_cache(self):
        self.server(policy="allkeys-lru")
        self.redis.fill(0.999, size=1000)
        self.redis.control.pipeline([("SET", f"new:{n}", "x" * 1000) for n in range(20_000)])
        self.assertGreater(int(self.redis.info("stats")["evicted_keys"]), 0)
        self.healthy()

    def test_a_full_cache_that_is_written(self):
        self.server(policy="allkeys-lfu")
        self.redis.fill(0.999, size=1000)
        counter = iter(range(10**9))
        with self.background(lambda wire: wire.pipeline([("SET", f"new:{next(counter)}", "x" * 1000)] * 50)):
            self.healthy()

    def test_a_full_volatile_cache(self):
        self.server(policy="volatile-lru")
        for start in range(0, 80_000, 1000):
            self.redis.control.pipeline([("SET", f"s:{n}", "x" * 1000, "EX", 9999) for n in range(start, start + 1000)])
        self.assertGreater(int(self.redis.info("stats")["evicted_keys"]), 0)
        self.healthy()

    def test_sixty_percent(self):
        self.server()
        self.redis.fill(0.6, size=1000)
        self.healthy()

    def test_steady_overwriting_at_95_percent(self):
        self.server()
        keys = self.redis.fill(0.95, size=1000)
        with self.background(lambda wire: wire.pipeline([("SET", f"fill:{n % keys}", "y" * 1000) for n in range(200)])):
            self.healthy()

    def test_churn_at_ninety_percent(self):
        self.server()
        self.redis.fill(0.9, size=1000)
        with self.background(lambda wire: wire.pipeline([("SET", f"tmp:{n}", "y" * 1000, "PX", 30) for n in range(50)]
                                                        + [("DEL", f"tmp:{n}") for n in range(50)])):
            self.healthy()

    def test_no_limit(self):
        self.server(maxmemory=0)
        self.redis.command("SET", "k", "x" * MB)
        self.assertIn("maxmemory", " ".join(self.healthy()["advice"]))

    def test_a_big_key_with_room(self):
        self.server()
        self.redis.command("SETRANGE", "bitmap", 20 * MB, "x")
        self.healthy()

    def test_refusals_that_are_over(self):
        self.server()
        self.redis.fill(0.5, size=1000)
        self.assertIn(REFUSED, str(self.redis.control.command("SET", "blob", "x" * (40 * MB))))
        until("the buffer is gone", lambda: self.redis.counted() < 40 * MB)
        self.healthy()


class Records(Zoo):
    """The record of the proxy, at the moment of the refusal."""

    def proxy(self, mode="off", **sections):
        self.spillway = self.enterContext(Spillway(self.redis, guard={"mode": mode}, **sections))
        return self.enterContext(Wire(self.spillway.endpoint))

    def record(self, cause, *names):
        """The first record of a backend's OOM reply, or what is said of it within the next seconds."""
        first = self.spillway.record("oom")
        def told():
            incident = self.spillway.api("incidents")["incidents"][0]
            said = " ".join(incident["evidence"] + incident["advice"])
            return incident if incident["cause"] == cause and all(name in said for name in names) else None
        try:
            incident = until(f"cause {cause} that names {names}", told, 20)
        except AssertionError:
            raise AssertionError(json.dumps([first, self.spillway.api("incidents")["incidents"][0]], indent=1)) from None
        info, memory = self.redis.info(), first["memory"]
        self.assertAlmostEqual(memory["ceiling"] / int(info["maxmemory"]), 1, delta=0.05)
        return first, incident

    def test_noeviction_at_the_ceiling(self):
        self.server()
        self.refuse(self.proxy(), key="cart:{}")
        first, _ = self.record("noeviction-at-ceiling", "cart:*")
        self.assertEqual(first["cause"], "noeviction-at-ceiling")
        self.assertEqual(first["top_growth"][0]["pattern"], "cart:*")

    def test_a_queue_that_nobody_consumes(self):
        self.server()
        self.refuse(self.proxy(), key="inbox:{}", command="RPUSH")
        _, incident = self.record("noeviction-at-ceiling", "do not turn on allkeys")
        self.assertNotIn("maxmemory-policy allkeys", " ".join(incident["advice"]))

    def test_one_hash_that_grows_past_the_limit(self):
        self.server()
        self.redis.fill(0.3, size=500, prefix="user:")
        wire = self.proxy()
        for start in range(0, 2_000_000, 500):
            replies = wire.pipeline([("HSET", "sessions", f"f{start + n}", "x" * 100) for n in range(500)])
            if str(replies[-1]).startswith(REFUSED):
                break
        first, _ = self.record("big-key", "sessions")
        self.assertEqual(first["cause"], "big-key", "the refused key is looked at before the first record is written")

    def test_a_large_hash_that_others_write_past(self):
        self.server(maxmemory=0)
        self.redis.command("EVAL", "for i = 1, 200000 do redis.call('hset', 'sessions:v2', i, 'some value') end", 0)
        self.redis.command("EVAL", "for i = 1, 3000 do redis.call('set', 'user:' .. i, string.rep('x', 200)) end", 0)
        self.limit_to(0.99)
        self.refuse(self.proxy(diagnosis={"sample_budget": "100ms"}), key="user:{}")
        self.record("big-key", "sessions:*")

    def test_keys_are_hidden_where_they_shall_be(self):
        self.server()
        wire = self.proxy(log={"keys": "none"})
        for part in range(45):
            wire.command("APPEND", "secret:bitmap", "x" * MB)
        self.refuse(wire, key="secret:{}")
        _, incident = self.record("big-key")
        self.assertNotIn("secret", self.spillway.output() + json.dumps(incident))

    def test_sampling_can_be_turned_off(self):
        self.server()
        self.refuse(self.proxy(diagnosis={"sample": False}), key="cart:{}")
        self.spillway.record("oom")
        self.assertIn("sample", " ".join(self.spillway.api("diagnosis")["unavailable"]))
        self.assertEqual(self.redis.calls("memory|usage"), 0)

    def test_an_oversized_write(self):
        self.server()
        self.redis.fill(0.6, size=1000)
        self.assertIn(REFUSED, str(self.proxy().command("SET", "blob:1", "x" * (30 * MB))))
        first, _ = self.record("oversized-write", "write_max")
        self.assertEqual(first["key"], "blob:*")

    def test_the_ceiling_was_lowered(self):
        self.server()
        self.redis.fill(0.9, size=1000)
        wire = self.proxy()
        self.redis.command("CONFIG", "SET", "maxmemory", "30mb")
        self.refuse(wire)
        self.record("ceiling-lowered", "64mb")

    def test_a_script_that_is_refused(self):
        self.server()
        self.refuse(key="cart:{}")
        self.assertIn("OOM", str(self.proxy().command("EVAL", "#!lua\nreturn redis.call('get', 'k')", 0)))
        first = self.spillway.record("oom")
        self.assertEqual(first["cause"], "script-refused", self.short(first))

    def test_few_evictable_keys(self):
        self.server(policy="volatile-ttl")
        wire = self.proxy()
        wire.pipeline([("SET", f"session:{n}", "x" * 1000, "EX", 9999) for n in range(8000)])
        self.refuse(wire, key="profile:{}")
        self.record("few-evictable-keys", "profile:*")

    def test_diagnosis_on_demand_samples_keys(self):
        self.server()
        self.redis.fill(0.5, size=1000, prefix="cart:")
        self.proxy()
        until("sampled keys", lambda: self.spillway.api("diagnosis")["sampled"])
        told = until("all of it", lambda: (d := self.spillway.api("diagnosis")) and not d["unavailable"] and d)
        self.assertEqual(told["sampled"]["patterns"][0]["pattern"], "cart:*")


if __name__ == "__main__":
    unittest.main()
