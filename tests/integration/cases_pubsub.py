# Data that nobody asked for at that moment: pub/sub, tracking, MONITOR, and the replication stream.
from differential import CLOSED, LATER, Await, Case, Control, Hang, say
from wire import encode

RDB = ((rb"\n*\$\d+\r\n(?:REDIS|VALKEY)0.*?(?=\*2\r\n\$6\r\nSELECT\r\n)", b"<rdb>"),)
REDIRECT = ((rb"(tracking-redir-broken\r\n):\d+", rb"\1:<id>"),)


def both(name, *steps, **options):
    """The same steps in RESP2 and in RESP3."""
    hello = tuple(say(who, "HELLO 3") for who in sorted({s.who for s in steps if hasattr(s, "parts")}))
    return Case(name + " (resp2)", steps, **options), Case(name + " (resp3)", hello + steps, **options)


PUBSUB = (
    *both("subscribe", say("a", "SUBSCRIBE a", "SUBSCRIBE b c d", "SUBSCRIBE a a", "PSUBSCRIBE p* q*", "SSUBSCRIBE s t",
                           "SUBSCRIBE", "UNSUBSCRIBE b nosuch", "PUNSUBSCRIBE p*", "SUNSUBSCRIBE s",
                           "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "PING")),
    *both("unsubscribe from nothing", say("a", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "UNSUBSCRIBE x y",
                                          "PUNSUBSCRIBE x", "SUNSUBSCRIBE x y z", "PING")),
    *both("unsubscribe without arguments names every channel of that kind",
          say("a", "PSUBSCRIBE only"), say("a", "UNSUBSCRIBE", "PING"), say("a", "SUBSCRIBE one", "UNSUBSCRIBE",
                                                                            "PUNSUBSCRIBE", "PING x")),
    *both("commands while subscribed", say("a", "SUBSCRIBE a"), say(
        "a", "PING", "PING hi", "PING a b", "GET k", "nosuch", "GET", "HELLO 3", "CLIENT REPLY ON",
        "SELECT 1", "UNSUBSCRIBE", "GET k")),
    Case("multi while subscribed", (say("a", "SUBSCRIBE a", "MULTI", "GET k", "EXEC", "DISCARD", "WATCH k"),)),
    *both("reset while subscribed", say("a", "SUBSCRIBE a b", "PSUBSCRIBE c", "RESET", "GET k", "UNSUBSCRIBE")),
    *both("quit while subscribed", say("a", "SUBSCRIBE a", "QUIT", end=CLOSED)),
    *both("messages between replies", say("a", "SUBSCRIBE ch", "PSUBSCRIBE c*"), say("b", "PUBLISH ch one"),
          say("a", "PING x"), say("b", *(f"PUBLISH ch {i}" for i in range(500))), say("a", "UNSUBSCRIBE ch"),
          say("b", "PUBLISH ch last"), say("a", "PUNSUBSCRIBE"), say("b", "PUBLISH ch unheard")),
    *both("shard messages", say("a", "SSUBSCRIBE s"), say("b", "SPUBLISH s one", "PUBLISH s two"),
          say("a", "SUNSUBSCRIBE")),
    *both("large message", say("a", "SUBSCRIBE ch"),
          say("b", encode("PUBLISH", "ch", "m" * 200000), "PUBLISH ch ''"), say("a", "UNSUBSCRIBE")),
    *both("keyspace notifications", Control("CONFIG SET notify-keyspace-events KEA"),
          say("a", "PSUBSCRIBE __key*__:*"), say("b", "SET k v", "EXPIRE k 100", "DEL k", "LPUSH l 1"),
          say("a", "PUNSUBSCRIBE")),
    *both("subscribe in multi: more elements than announced",
          say("a", "MULTI", "SUBSCRIBE a b c", "PSUBSCRIBE p*", "PING", "EXEC"), say("a", "PING y"),
          say("b", "PUBLISH b message"), say("a", "UNSUBSCRIBE a b", "PUNSUBSCRIBE")),
    *both("unsubscribe in multi", say("a", "MULTI", "UNSUBSCRIBE", "PUNSUBSCRIBE x y", "SET k v", "EXEC", "GET k")),
    Case("publish to oneself comes inside its own replies (resp3)", (say(
        "a", "HELLO 3", "SUBSCRIBE ch", "PUBLISH ch one", "MULTI", "PUBLISH ch two", "SET k v", "PUBLISH ch three",
        "SUBSCRIBE d", "PUBLISH d four", "EXEC", "GET k", "EVAL \"return redis.call('publish', 'ch', 'five')\" 0"),)),
    Case("resp3 subscriber goes back to resp2", (
        say("a", "HELLO 3", "SUBSCRIBE ch", "HGETALL none", "HELLO 2", "GET k", "PING"), say("b", "PUBLISH ch one"),
        say("a", "UNSUBSCRIBE ch", "GET k"))),
    Case("messages pile up before the first is read", (
        say("a", "SUBSCRIBE ch"), say("b", encode("PUBLISH", "ch", "x" * 1000) * 3000), say("a"))),
    Case("subscriber disappears", (say("a", "SUBSCRIBE ch"), Hang("a"), Await("pubsub_channels", "0"),
                                   say("b", "PUBLISH ch x"))),
    Case("inline subscriber", (say("a", b"subscribe ch\r\n"), say("b", "PUBLISH ch x"), say("a", b"unsubscribe\r\n"))),
)

TRACKING = (
    Case("tracking in resp3", (
        say("a", "HELLO 3", "CLIENT TRACKING ON", "GET k", "GET l"), say("b", "SET k v"), say("a", "GET k"),
        say("b", "MSET k 1 l 2"), say("a", "GET k", "SET k own", "GET k", "MULTI", "SET k tx", "GET k", "EXEC"),
        say("b", "FLUSHALL"), say("a", "CLIENT TRACKINGINFO", "CLIENT TRACKING OFF", "GET k"), say("b", "SET k v"),
        say("a"))),
    Case("tracking in resp2 says nothing", (
        say("a", "CLIENT TRACKING ON", "GET k"), say("b", "SET k v"), say("a", "GET k"))),
    Case("tracking by prefix without own writes", (
        say("a", "HELLO 3", "CLIENT TRACKING ON BCAST PREFIX user: NOLOOP"), say("b", "SET user:1 x", "SET other x"),
        say("a", "SET user:2 x"), say("b", "DEL user:1 user:2"), say("a", "CLIENT TRACKINGINFO"))),
    Case("tracking opt-in", (
        say("a", "HELLO 3", "CLIENT TRACKING ON OPTIN", "GET k", "CLIENT CACHING YES", "GET l", "GET m"),
        say("b", "MSET k 1 l 2 m 3"), say("a", "CLIENT CACHING NO", "CLIENT CACHING MAYBE"))),
    Case("tracking of an expiring key", (
        say("a", "HELLO 3", "CLIENT TRACKING ON", "SET k v PX 30", "GET k"), Await("expired_keys", "1"), say("a"))),
    Case("redirected invalidations are messages whose payload is an array", (
        say("t", "SUBSCRIBE __redis__:invalidate"), say("a", "CLIENT TRACKING ON REDIRECT {id:t}", "GET k", "GET l"),
        say("b", "SET k v", "SET l v"), say("t", "PING"), say("b", "FLUSHALL"), say("t", "PING"))),
    Case("redirection breaks", (
        say("t", "PING"), say("a", "HELLO 3", "CLIENT TRACKING ON REDIRECT {id:t}", "GET k"),
        say("t", "QUIT", end=CLOSED),
        say("b", "SET k v"), say("a")), masks=REDIRECT),
)

MONITOR = (
    Case("monitor", (
        say("a", "SET before 1", "MONITOR", end=b"+OK\r\n+OK\r\n"), say("b", "SET mark:1 v", "SELECT 2", "GET mark:2"),
        say("a", end=b'"GET" "mark:2"\r\n'), say("b", "SET mark:3 'a\r\nb \"c\"'",
                                                 "EVAL \"return redis.call('get', 'k')\" 0"),
        say("a", end=b'lua] "get" "k"\r\n'))),
    Case("monitor goes on answering", (
        say("a", "MONITOR", "GET k", "ECHO done", end=b"$4\r\ndone\r\n"), say("b", "SET mark v"),
        say("a", end=b'"mark" "v"\r\n'))),
    Case("reset ends monitor", (
        say("a", "MONITOR", end=b"+OK\r\n"), say("b", "SET mark:1 v"), say("a", end=b'"mark:1" "v"\r\n'),
        say("a", "RESET", end=b"+RESET\r\n"), say("b", "SET mark:2 v"), say("a", "GET mark:2", "GET none"))),
    Case("monitor and quit", (say("a", "MONITOR", "QUIT", end=CLOSED),)),
)

REPLICATION = (
    *(Case(f"{name}, then the stream of writes", (
        say("b", "SET data " + "d" * 100000), say("a", name, end=LATER), Await("connected_slaves", "1"),
        say("b", "SET mark:1 v"), say("a", end=b"mark:1\r\n$1\r\nv\r\n"),
        say("b", "SET mark:2 \"not a frame\\n*3\""), say("a", end=b"*3\r\n")), masks=RDB)
      for name in ("SYNC", "PSYNC ? -1")),
    Case("psync with bad arguments", tuple(say("a", line) for line in (
        "PSYNC", "PSYNC a b c d", "PSYNC a b", "REPLCONF nosuch 1", "PING"))),
)
