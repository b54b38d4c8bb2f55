# Redis builds the replies to a whole pipelined batch before it sends any: when room is short, one client's batch
# is released in flights, so that its replies do not fill the memory that all share.
import signal
import socket
import time
import unittest

from harness import RedisServer, Spillway, until
from wire import Wire, encode

MB = 1 << 20


class Flights(unittest.TestCase):
    def start(self, mode, drain_timeout="2s", **guard):
        self.redis = self.enterContext(RedisServer(maxmemory="128mb"))
        self.spillway = self.enterContext(Spillway(self.redis, guard={"mode": mode, **guard},
                                                   drain_timeout=drain_timeout))
        self.spillway.wait_state("plenty")
        self.redis.command("SETRANGE", "big", MB - 1, "x")
        self.wire = self.enterContext(Wire(self.spillway.endpoint))
        self.assertEqual(len(self.wire.command("GET", "big")), MB)
        until("its reply gone", lambda: self.redis.used_memory() < 8 * MB)
        self.before = self.spillway.metric("spillway_bytes_total", direction="backend_in")

    def batch(self, count):
        """Sends GETs in one piece and reads all replies; gives Redis' highest memory since."""
        before = int(self.redis.info("memory")["used_memory_peak"])
        self.wire.send(encode("GET", "big") * count)
        for _ in range(count):
            self.assertEqual(len(self.wire.reply()), MB)
        self.assertEqual(self.wire.command("PING"), "PONG")
        return int(self.redis.info("memory")["used_memory_peak"]) - before

    def test_a_batch_of_large_replies_does_not_fill_redis(self):
        self.start("protect")
        self.assertLess(self.batch(100), 24 * MB)
        self.assertEqual(self.redis.calls("get"), 101)

    def test_nothing_is_known_of_a_new_clients_replies(self):
        self.start("protect")
        with Wire(self.spillway.endpoint) as self.wire:
            self.assertEqual(self.wire.command("PING"), "PONG")
            self.assertLess(self.batch(100), 24 * MB)

    def test_small_replies_say_little_of_large_ones(self):
        self.start("protect")
        self.wire.send(encode("PING") * 1000)
        for _ in range(1000):
            self.wire.reply()
        for _ in range(60):
            self.wire.command("PING")
        self.assertLess(self.batch(100), 24 * MB)

    def test_a_client_that_reads_nothing_fills_no_memory_of_redis(self):
        self.start("protect", spool_client="48mb")
        before = int(self.redis.info("memory")["used_memory_peak"])
        for cut, end in enumerate((False, True), 1):
            with Wire(self.spillway.endpoint) as wire:
                wire.send(encode("CLIENT", "SETNAME", "deaf") + encode("GET", "big") * 2000)
                if end:
                    wire.socket.shutdown(socket.SHUT_WR)
                until("it was cut", lambda: self.spillway.metric("spillway_spool_overflows_total") == cut)
        self.assertLess(int(self.redis.info("memory")["used_memory_peak"]) - before, 24 * MB)

    def test_a_batch_of_small_replies_is_one_to_the_server(self):
        """It closes at the sight of some commands, and drops what it had not sent by then."""
        def answer(endpoint, batch):
            with Wire(endpoint) as wire:
                wire.send(batch)
                return wire.read_to_end()
        self.start("protect")
        ping, silent = encode("PING"), encode("CLIENT", "REPLY", "OFF")
        for batch in (ping * 16 + silent + encode("QUIT"), ping * 200 + silent + encode("QUIT"),
                      ping * 200 + b"POST / HTTP/1.1\r\n", encode("SET", "k", "v", "EX", 100) * 500 + b"Host: a\r\n",
                      encode("INCR", "n") * 5000 + encode("QUIT")):
            self.redis.command("DEL", "n")
            wanted = answer(self.redis.endpoint, batch)
            self.redis.command("DEL", "n")
            self.assertEqual(answer(self.spillway.endpoint, batch), wanted, batch[-60:])
        self.redis.command("CONFIG", "SET", "requirepass", "x")
        self.assertEqual(answer(self.spillway.endpoint, ping * 1000), answer(self.redis.endpoint, ping * 1000))

    def test_observe_changes_nothing(self):
        self.start("observe")
        self.assertGreater(self.batch(100), 64 * MB)

    def test_a_client_that_reads_slowly_is_waited_for(self):
        self.start("protect", spool_client="12mb")
        self.wire.send(encode("GET", "big") * 100)
        for _ in range(100):
            time.sleep(0.004)  # slower than Redis, which needs half a millisecond for each
            self.assertEqual(len(self.wire.reply()), MB)
        self.assertEqual(self.spillway.metric("spillway_spool_overflows_total"), 0)

    def test_a_slow_reader_gets_what_was_said_before_the_end(self):
        self.start("protect", spool_client="12mb")
        self.wire.send(encode("GET", "big") * 60)
        until("half a spool", lambda: self.spillway.metric("spillway_spool_bytes") > 6 * MB)
        self.redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        until("the end seen", lambda: self.spillway.metric("spillway_backend_connections") == 0)
        said = self.spillway.metric("spillway_bytes_total", direction="backend_in") - self.before
        received = 0
        while self.wire.fill():
            received += len(self.wire.take(MB))
            time.sleep(0.05)  # longer in all than a client is waited for that reads nothing
        self.assertEqual(received, said)

    def test_a_client_that_writes_all_before_it_reads(self):
        self.start("protect", spool_client="2mb", spool_overflow="backpressure")
        self.wire.send(encode("GET", "big") * 8 + encode("ECHO", "x" * 4000) * 4000)
        for _ in range(8):
            self.assertEqual(len(self.wire.reply()), MB)
        for _ in range(4000):
            self.assertEqual(len(self.wire.reply()), 4000)

    def test_a_client_that_leaves_while_its_command_blocks(self):
        self.start("protect")
        self.wire.send(encode("BLPOP", "none", 0) + encode("GET", "big") * 20)
        until("it blocked", lambda: self.redis.info("clients")["blocked_clients"] == "1")
        self.wire.socket.close()
        until("its connection gone", lambda: self.redis.info("clients")["blocked_clients"] == "0")

    def test_a_client_that_leaves_while_its_command_blocks_and_spillway_stops(self):
        self.start("protect", drain_timeout="1h")
        self.wire.send(encode("BLPOP", "none", 0) + encode("GET", "big") * 20)
        until("it blocked", lambda: self.redis.info("clients")["blocked_clients"] == "1")
        self.spillway.child.send_signal(signal.SIGTERM)
        until("it stops", lambda: self.spillway.get("/readyz")[0] == 503)
        self.wire.socket.close()
        until("its connection gone", lambda: self.redis.info("clients")["blocked_clients"] == "0")

    def test_a_client_that_leaves_amid_its_batch_is_not_missed(self):
        self.start("protect")
        self.wire.send(encode("GET", "big") * 100)
        until("some replies", lambda: self.wire.fill())
        self.wire.socket.close()
        until("the client gone", lambda: self.spillway.metric("spillway_clients") == 0)
        until("its connection gone", lambda: not self.redis.clients() or len(self.redis.clients()) == 1)


if __name__ == "__main__":
    unittest.main()
