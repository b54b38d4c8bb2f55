# Every dialogue must give the same bytes and the same end through Spillway as straight from Redis.
import contextlib
import os
import random
import re
import unittest

from cases_data import BLOCKING, OOM, TRANSACTIONS, TYPES
from cases_edges import ENDINGS, ERRORS_AT_EXEC, OWN_SERVERS, STATES, TRACKING_MODES, USERS, WAITING
from cases_framing import FRAMING
from cases_mixes import MIXES, SUBSCRIBED_MIXES
from cases_pubsub import MONITOR, PUBSUB, REPLICATION, TRACKING
from cases_session import SESSION
from differential import Backend, Route, difference, one
from harness import REDIS, is_newer


class Servers:
    """One server for each program and set of directives, and what it answers to each case, asked once."""
    stack, backends, answers = contextlib.ExitStack(), {}, {}

    @classmethod
    def backend(cls, case, binary):
        key = binary, *sorted(case.server.items())
        if key not in cls.backends:
            cls.backends[key] = Backend(cls.stack, case.server, binary)
        return key, cls.backends[key]

    @classmethod
    def direct(cls, case, binary=REDIS):
        """The oracle's transcript."""
        key = binary, case.name
        if key not in cls.answers:
            if case.ruins:
                with contextlib.ExitStack() as stack:
                    backend = Backend(stack, case.server, binary)
                    cls.answers[key] = case, backend.run(case, backend.redis.endpoint)
            else:
                backend = cls.backend(case, binary)[1]
                cls.answers[key] = case, backend.run(case, backend.redis.endpoint)
        known, answer = cls.answers[key]
        if known is not case:
            raise AssertionError(f"two cases are called {case.name}")
        return answer


def tearDownModule():
    Servers.stack.close()


class Comparison:
    """Compares cases before the server and on the route that a subclass names."""
    route, binary = None, REDIS

    @classmethod
    def setUpClass(cls):
        cls.stack, cls.fronts = contextlib.ExitStack(), {}
        cls.addClassCleanup(cls.stack.close)

    def proxied(self, case):
        if case.ruins:
            with contextlib.ExitStack() as stack:
                backend = Backend(stack, case.server, self.binary)
                return backend.run(case, backend.front(stack, self.route), self.route.split)
        key, backend = Servers.backend(case, self.binary)
        if key not in self.fronts:
            self.fronts[key] = backend.front(self.stack, self.route)
        return backend.run(case, self.fronts[key], self.route.split)

    def compare(self, cases):
        for case in cases:
            with self.subTest(case.name):
                direct = Servers.direct(case, self.binary)
                if not is_newer(self.binary):
                    self.assertNotIn("hangs", direct, "the case is wrong: the server itself never gets there")
                if found := difference(direct, self.proxied(case)):
                    self.fail(f"{case.name}: {found}")


class Differential(Comparison):
    """All the tables."""

    def test_framing(self):
        self.compare(FRAMING)

    def test_session(self):
        self.compare(SESSION)

    def test_pubsub(self):
        self.compare(PUBSUB)

    def test_tracking(self):
        self.compare(TRACKING)

    def test_monitor(self):
        self.compare(MONITOR)

    def test_replication(self):
        self.compare(REPLICATION)

    def test_types(self):
        self.compare(TYPES)

    def test_transactions(self):
        self.compare(TRANSACTIONS)

    def test_blocking(self):
        self.compare(BLOCKING)

    def test_states(self):
        self.compare(STATES)

    def test_users(self):
        self.compare(USERS)

    def test_tracking_modes(self):
        self.compare(TRACKING_MODES)

    def test_waiting(self):
        self.compare(WAITING)

    def test_errors_at_exec(self):
        self.compare(ERRORS_AT_EXEC)

    def test_endings(self):
        self.compare(ENDINGS)


class ProtectWhole(Differential, unittest.TestCase):
    route = Route()


class ProtectByteByByte(Differential, unittest.TestCase):
    route = Route(split="bytes")


class ProtectRandomSplitsBothWays(Differential, unittest.TestCase):
    route = Route(split="random", chopped=True)


class ObserveRandomSplits(Differential, unittest.TestCase):
    route = Route(mode="observe", split="random")

    def test_oom(self):
        self.compare(OOM)


class OffChopped(Differential, unittest.TestCase):
    route = Route(mode="off", chopped=True)

    def test_oom(self):
        self.compare(OOM)


class Mixes(Comparison, unittest.TestCase):
    """What one route is enough for: sequences of what switches replies, transactions and subscriptions, odd servers."""
    route = Route(split="random", chopped=True)

    def test_replies_and_transactions(self):
        self.compare(MIXES)

    def test_subscriptions(self):
        self.compare(SUBSCRIBED_MIXES)

    def test_before_servers_of_their_own(self):
        self.compare(OWN_SERVERS)


class Mixtures(Comparison, unittest.TestCase):
    """Requests of the tables in random order on one connection; a failure names the seed that repeats it."""
    route = Route(split="random", chopped=True)
    SEED, COUNT = int(os.environ.get("MIXTURES_SEED", "1")), int(os.environ.get("MIXTURES", "300"))
    # What depends on time or on the connection, or lasts.
    LEFT_OUT = re.compile("SHUTDOWN|SLEEP|KILL|CONFIG|ROLE|ACL|CLIENT (ID|INFO|LIST)|DOCTOR|POST|Host")

    def test_mixtures(self):
        cases = [case for case in (*FRAMING, *SESSION, *TYPES, *TRANSACTIONS, *PUBSUB) if len(case.steps) <= 2
                 and not (case.server or case.masks or case.whole or case.unordered or case.ruins)]
        parts = [part for case in cases for step in case.steps for part in getattr(step, "parts", ())
                 if len(part) < 3000 and not self.LEFT_OUT.search(str(part))]
        self.assertGreater(len(parts), 300)
        for seed in range(self.SEED, self.SEED + self.COUNT):
            chance = random.Random(seed)
            self.compare([one(f"mixture {seed}", *chance.choices(parts, k=chance.randint(2, 30)))])


@unittest.skipIf(is_newer(REDIS), "newer servers let some of them pass")
class OomTable(unittest.TestCase):
    """The oracle itself: a table of refusals that never reached one would prove nothing."""

    def test_redis_refuses_in_every_oom_case(self):
        for case in OOM:
            with self.subTest(case.name):
                heard = b"".join(data for data, _ in Servers.direct(case).values())
                if "('GET k', 'DEL k')" not in case.name and "DISCARD" not in case.name:
                    self.assertRegex(heard, rb"OOM |EXECABORT|_\r\n|\*-1\r\n")


if __name__ == "__main__":
    unittest.main()
