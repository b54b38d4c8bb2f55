# Every short sequence of what switches replies, transactions and subscriptions, and long ones by chance.
import itertools
import random

from differential import one

SWITCHES = ("CLIENT REPLY OFF", "CLIENT REPLY SKIP", "CLIENT REPLY ON", "MULTI", "EXEC", "ECHO x", "nosuch",
            "DISCARD", "RESET")
SUBSCRIPTIONS = ("CLIENT REPLY OFF", "CLIENT REPLY SKIP", "MULTI", "EXEC", "SUBSCRIBE a b", "UNSUBSCRIBE",
                 "HELLO 3", "SSUBSCRIBE s")
OTHERS = ("HELLO 2", "PSUBSCRIBE p*", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "PUBLISH a m", "SPUBLISH s m", "GET", "WATCH k",
          "SET k v", "CLIENT TRACKING ON", "CLIENT TRACKING OFF", "GET k", "CLIENT REPLY", "CLIENT REPLY MAYBE",
          "DEBUG PROTOCOL attrib", "SELECT 1", "UNSUBSCRIBE a none", "BLPOP none 0.001", "PING", b"*0\r\n", b"\r\n")
# Whether replies are on, and whether one is owed, shows here.
TAIL = ("ECHO tail", "CLIENT REPLY ON", "PING end")


def exhaustive(words, length):
    return tuple(one(" / ".join(said), *said, *TAIL) for said in itertools.product(words, repeat=length))


def by_chance(count, seed=1):
    words, chance = sorted({*SWITCHES, *SUBSCRIPTIONS, *OTHERS}, key=str), random.Random(seed)
    return tuple(one(f"mix {number}", *chance.choices(words, k=chance.randint(4, 12)), *TAIL)
                 for number in range(count))


MIXES = exhaustive(SWITCHES, 3) + by_chance(400)
SUBSCRIBED_MIXES = tuple(case for case in exhaustive(SUBSCRIPTIONS, 3)
                         if case.name not in {known.name for known in MIXES})
