# What a connection can become, and how it can end, beyond the plain cases: each state met by what disturbs it.
from differential import CLOSED, FIN, LATER, Await, Case, Control, one, say
from cases_pubsub import REDIRECT, both
from wire import encode

LOCKED = {"password": "sesame"}
TARGET = ((rb"(redirect\r\n):\d+", rb"\1:<id>"),)
ALICE = "ACL SETUSER alice on nopass ~* &* +@all "
BROKEN = b"*x\r\n"

STATES = (
    # Subscriptions of the third kind, and of all kinds at once
    *both("ssubscribe restricts and is counted apart", say("a", "SSUBSCRIBE s"), say(
        "a", "GET k", "EXEC", "PING hi", "SUBSCRIBE a", "PSUBSCRIBE p*", "SSUBSCRIBE s t u", "SUNSUBSCRIBE t",
        "UNSUBSCRIBE", "PUNSUBSCRIBE", "GET k", "SUNSUBSCRIBE", "GET k", "SUNSUBSCRIBE")),
    *both("ssubscribe in multi", say("a", "MULTI", "SSUBSCRIBE s t", "ECHO x", "EXEC"), say("b", "SPUBLISH s m"),
          say("a", "SUNSUBSCRIBE", "GET k")),
    *both("unsubscribe in multi from what is subscribed, without arguments",
          say("a", "HELLO 3", "SUBSCRIBE a b c", "PSUBSCRIBE p* q*", "MULTI", "UNSUBSCRIBE", "PUNSUBSCRIBE",
              "SUNSUBSCRIBE", "ECHO x", "EXEC", "GET k")),
    *both("subscribe twice in one transaction, then unsubscribe in it",
          say("a", "MULTI", "SUBSCRIBE a b", "UNSUBSCRIBE", "SUBSCRIBE a", "ECHO x", "UNSUBSCRIBE a b c", "EXEC", "GET k")),
    *both("subscribe in a transaction that is thrown away", say(
        "a", "MULTI", "SUBSCRIBE a b", "nosuch", "EXEC", "MULTI", "SUBSCRIBE a", "DISCARD", "WATCH k", "MULTI",
        "SUBSCRIBE", "EXEC", "GET k")),
    *both("subscribe without reply in a transaction", say(
        "a", "MULTI", "CLIENT REPLY SKIP", "SUBSCRIBE a b", "ECHO x", "EXEC", "PING y")),
    *both("many channels", say("a", encode("SUBSCRIBE", *(f"c{n}" for n in range(3000))), "UNSUBSCRIBE", "GET k")),
    *both("many channels in a transaction", say(
        "a", "MULTI", encode("SUBSCRIBE", *(f"c{n}" for n in range(3000))), "UNSUBSCRIBE", "EXEC", "GET k")),
    *both("wrong use while subscribed", say("a", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "SUBSCRIBE a"), say(
        "a", "SUBSCRIBE", "nosuch", "GET", "HELLO 2", "AUTH x", "CLIENT REPLY SKIP", "PING", "PING x y", "EXEC")),
    # Protocol switches where they do most
    *both("hello in a poisoned transaction", say("a", "MULTI", "nosuch", "HELLO 3", "EXEC", "HGETALL none")),
    *both("hello in a discarded transaction", say("a", "MULTI", "HELLO 3", "DISCARD", "HGETALL none")),
    *both("hello to and fro in one transaction", say(
        "a", "HSET h a 1", "MULTI", "HELLO 3", "HGETALL h", "HELLO 2", "HGETALL h", "HELLO 9", "HELLO 3", "EXEC",
        "HGETALL h")),
    *both("hello with a failing login", say(
        "a", "MULTI", "HELLO 3 AUTH nobody wrong", "HGETALL none", "EXEC", "HGETALL none")),
    *both("hello without reply", say("a", "CLIENT REPLY SKIP", "HELLO 3", "HGETALL none", "CLIENT REPLY OFF",
                                     "HELLO 2", "CLIENT REPLY ON", "HGETALL none")),
    *both("hello in front of every reply", say("a", "HSET h a 1", *("HELLO 3", "HGETALL h", "HELLO 2", "HGETALL h") * 50)),
    *both("attributes", say(
        "a", "DEBUG PROTOCOL attrib", "ECHO x", "MULTI", "DEBUG PROTOCOL attrib", "DEBUG PROTOCOL push", "ECHO y",
        "EXEC", "CLIENT REPLY SKIP", "DEBUG PROTOCOL attrib", "ECHO z", *("DEBUG PROTOCOL attrib", "PING") * 50)),
    # Reset
    *both("reset while tracking, in a transaction and subscribed", say(
        "a", "HELLO 3", "CLIENT TRACKING ON BCAST", "SUBSCRIBE a", "SELECT 2", "WATCH k", "MULTI", "SET k v", "RESET",
        "SET k v", "EXEC", "CLIENT TRACKINGINFO", "HGETALL none"), say("b", "SET k w", "PUBLISH a x")),
    *both("reset after reply skip", say("a", "CLIENT REPLY SKIP", "RESET", "ECHO x", "HGETALL none")),
    # Quit
    *both("quit behind what is still to be sent, without reply", say(
        "a", "MULTI", "CLIENT REPLY OFF", "EXEC", "QUIT", "PING", end=CLOSED), whole=True),
    *both("quit with large replies before it", say("a", "SETRANGE big 3000000 x", "GET big", "GET big", "QUIT", end=CLOSED)),
    one("quit under reply off, then on again", "CLIENT REPLY OFF", "QUIT", "CLIENT REPLY ON", "PING"),
    one("quit in any case", "qUiT", "PING", end=CLOSED),
    Case("quit under reply off leaves the connection open", (
        say("a", "CLIENT REPLY OFF", "QUIT", end=LATER), say("b", "CLIENT LIST ID {id:a}"))),
    *both("quit behind a blocking command", say("a", "BLPOP k 0", "QUIT", "PING", end=LATER),
          Await("blocked_clients", "1"), say("b", "LPUSH k v"), say("a", end=CLOSED)),
    # Longer than any string may be, and than there is memory for
    *both("lengths that the server refuses", *(
        say(name, "SET k v", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % length, end=CLOSED)
        for name, length in zip("abcde", ((512 << 20) + 1, 5_000_000_000, 2_000_000_000_000, (1 << 63) - 1, 1 << 63)))),
    *both("a length that the server refuses, in a transaction", say(
        "a", "MULTI", b"*3\r\n$6\r\nAPPEND\r\n$1\r\nk\r\n$5000000000\r\n", end=CLOSED)),
    Case("a length that the server refuses, before the password", (
        say("a", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5000000000\r\n", end=CLOSED),), server=LOCKED),
    *both("offsets that the server refuses", say(
        "a", "SETRANGE k 5000000000 x", "SETRANGE k 536870912 x", "SETBIT k 50000000000 1", "SETBIT k 4294967296 1",
        "BITFIELD k SET u8 50000000000 1", "BITFIELD k SET u8 4294967296 1", "BITFIELD k SET u8 #5000000000 1",
        "SET k v", "SETRANGE k 536870911 yy", "GET k")),
    # Monitor
    *both("monitor by name of its protocol", say("a", "MONITOR", "MONITOR", "ECHO done", end=b"$4\r\ndone\r\n"),
          say("b", "SET mark v"), say("a", end=b'"mark" "v"\r\n')),
    *both("monitor is not for transactions", say("a", "MULTI", "MONITOR", "ECHO x", "EXEC", "PING")),
    *both("monitor with replies off and on", say(
        "a", "CLIENT REPLY OFF", "MONITOR", "CLIENT REPLY ON", "ECHO done", end=b"$4\r\ndone\r\n"),
        say("b", "SET mark v"), say("a", end=b'"mark" "v"\r\n')),
    *both("monitor without its reply", say("a", "CLIENT REPLY SKIP", "MONITOR", "ECHO done", end=b"$4\r\ndone\r\n"),
          say("b", "SET mark v"), say("a", end=b'"mark" "v"\r\n')),
    *both("monitor, and a protocol error", say("a", "MONITOR", BROKEN, end=CLOSED)),
    # Protocol errors in every state
    *both("protocol error in multi", say("a", "MULTI", "SET k v", BROKEN, "EXEC", end=CLOSED), say("b", "GET k")),
    *both("protocol error while subscribed", say("a", "SUBSCRIBE a", BROKEN, end=CLOSED)),
    *both("protocol error after reply skip", say("a", "CLIENT REPLY SKIP", BROKEN, "PING", end=FIN)),
    *both("protocol error behind large replies", say("a", "SETRANGE big 3000000 x", "GET big", BROKEN, end=CLOSED)),
    *both("protocol error behind a blocking command", say("a", "BLPOP k 0", BROKEN, "PING", end=LATER),
          Await("blocked_clients", "1"), say("b", "LPUSH k v"), say("a", end=CLOSED)),
    *(one(f"unauthenticated {data!r}", data, "PING", end=CLOSED, server=LOCKED)
      for data in (b"*11\r\n", b"*1000000\r\n", b"*2\r\n$4\r\nECHO\r\n$16777216\r\n", b"*1\r\n$-1\r\n", b'PING "\r\n')),
)

USERS = (
    one("auth and hello in a transaction", "MULTI", "AUTH default x", "AUTH nobody x", "HELLO 2 AUTH default x", "EXEC"),
    one("auth as another and back", ALICE, "AUTH alice x", "ACL WHOAMI", "RESET", "ACL WHOAMI", "HELLO 3 AUTH alice x",
        "ACL WHOAMI", "AUTH default x", "ACL WHOAMI", "AUTH nobody x", "ACL WHOAMI", auth_fails=True),
    *(one(f"a refused {line} changes nothing", ALICE + lost, "AUTH alice x", line, "ECHO a", "ECHO b", "HGETALL none",
          "EXEC", "GET k", "PING end")
      for lost, line in (
          ("-client|reply", "CLIENT REPLY OFF"), ("-client|reply", "CLIENT REPLY SKIP"), ("-multi", "MULTI"),
          ("-subscribe", "SUBSCRIBE a b"), ("-unsubscribe", "UNSUBSCRIBE a b"), ("-monitor", "MONITOR"),
          ("-sync", "SYNC"), ("-psync", "PSYNC ? -1"), ("-hello", "HELLO 3"), ("-select", "SELECT 1"),
          ("-reset", "RESET"), ("-auth", "AUTH default x"), ("-watch", "WATCH k"), ("-ssubscribe", "SSUBSCRIBE a b"),
          ("resetchannels &ch", "SUBSCRIBE ch other"), ("resetchannels &ch", "PSUBSCRIBE ch*"),
          ("-client", "CLIENT TRACKING ON"), ("-blpop", "BLPOP none 0"))),
    *(one(f"a refused {line} in a transaction", ALICE + lost, "AUTH alice x", "MULTI", "ECHO a", line, "ECHO b", "EXEC",
          "ECHO c", "PING end")
      for lost, line in (
          ("-client|reply", "CLIENT REPLY OFF"), ("-subscribe", "SUBSCRIBE a b"), ("-exec", "EXEC"),
          ("-discard", "DISCARD"), ("-reset", "RESET"), ("-hello", "HELLO 3"), ("resetchannels", "PUBLISH a b"))),
    *(one(f"unauthenticated {line}", line, "ECHO a", "AUTH sesame", "ECHO b", "GET k", "PING end", server=LOCKED)
      for line in ("CLIENT REPLY OFF", "CLIENT REPLY SKIP", "MULTI", "SUBSCRIBE a", "UNSUBSCRIBE a b", "MONITOR", "SYNC",
                   "PSYNC ? -1", "HELLO 3", "SELECT 1", "RESET", "EXEC", "nosuch", "BLPOP k 0")),
    Case("a right taken away in the middle of a transaction", (
        say("a", ALICE, "AUTH alice x", "MULTI", "SET k v", "GET k", end=b"+QUEUED\r\n" * 2),
        say("b", "ACL SETUSER alice -set"), say("a", "EXEC", "GET k"))),
    Case("a subscriber whose channels are taken away", (
        say("a", ALICE, "AUTH alice x", "SUBSCRIBE ch"), say("b", "ACL SETUSER alice resetchannels"),
        say("a", end=CLOSED))),
)

# Invalidation in every mode. The redirection's target is a connection of its own unless it says otherwise.
WATCHED = ("GET k", "GET l")
TRACKING_MODES = (
    Case("tracking with replies off", (
        say("a", "HELLO 3", "CLIENT TRACKING ON", *WATCHED), say("a", "CLIENT REPLY OFF", end=LATER),
        say("b", "SET k v"), say("a", "CLIENT REPLY ON", "GET k"))),
    Case("tracking without own commands, opt-out", (
        say("a", "HELLO 3", "CLIENT TRACKING ON OPTOUT", "GET k", "CLIENT CACHING NO", "GET l", "GET m"),
        say("b", "MSET k 1 l 2 m 3"), say("a", "CLIENT TRACKINGINFO"))),
    Case("tracking opt-in in a transaction", (
        say("a", "HELLO 3", "CLIENT TRACKING ON OPTIN", "CLIENT CACHING YES", "MULTI", "GET k", "GET l", "EXEC", "GET m"),
        say("b", "MSET k 1 l 2 m 3"), say("a"))),
    Case("tracking switched in a transaction", (
        say("a", "HELLO 3", "MULTI", "CLIENT TRACKING ON", "GET k", "SET k own", "EXEC", "SET l own", "GET k"),
        say("b", "SET k v"), say("a"))),
    Case("tracking with a script of one's own", (
        say("a", "HELLO 3", "CLIENT TRACKING ON", "GET k", "EVAL \"return redis.call('set', 'k', 1)\" 0", "GET k",
            "MULTI", "EVAL \"redis.call('set', 'k', 2) return redis.call('get', 'k')\" 0", "SET k 3", "EXEC"),)),
    Case("tracking and flushall of one's own", (
        say("a", "HELLO 3", "CLIENT TRACKING ON", "SET k v", "GET k", "FLUSHALL", "GET k", "MULTI", "FLUSHALL", "GET k",
            "EXEC"),)),
    Case("a tracked key in every reply of a pipeline", (
        say("a", "HELLO 3", "CLIENT TRACKING ON", *(line for n in range(300) for line in ("GET k", f"SET k {n}"))),)),
    Case("tracking and back to resp2", (
        say("a", "HELLO 3", "CLIENT TRACKING ON", "GET k", "HELLO 2", "GET l"), say("b", "SET k v", "SET l v"), say("a"))),
    Case("tracking by prefix, several and overlapping", (
        say("a", "HELLO 3", "CLIENT TRACKING ON BCAST PREFIX a PREFIX b", "CLIENT TRACKING ON BCAST PREFIX ab",
            "CLIENT TRACKING ON BCAST PREFIX c", "CLIENT TRACKING ON", "CLIENT TRACKINGINFO"),
        say("b", "MSET a1 1 b1 2 c1 3 d1 4"), say("a", "CLIENT TRACKING OFF", "CLIENT TRACKING ON BCAST"),
        say("b", "SET any 1"), say("a"))),
    Case("tracking by prefix, redirected to resp2", (
        say("t", "SUBSCRIBE __redis__:invalidate"),
        say("a", "CLIENT TRACKING ON BCAST REDIRECT {id:t} PREFIX k", "CLIENT TRACKINGINFO"),
        say("b", "MSET k1 1 k2 2 other 3"), say("t"), say("a", "SET k3 1"), say("t")), masks=TARGET),
    Case("tracking redirected to resp3", (
        say("t", "HELLO 3"), say("a", "CLIENT TRACKING ON REDIRECT {id:t}", *WATCHED), say("b", "SET k v", "FLUSHALL"),
        say("t"), say("t", "SUBSCRIBE __redis__:invalidate"), say("a", *WATCHED), say("b", "SET k v"), say("t"))),
    Case("tracking redirected to itself (resp3)", (
        say("a", "HELLO 3", "CLIENT TRACKING ON REDIRECT {id:a}", *WATCHED, "SET k own"), say("b", "SET l v"), say("a"))),
    Case("redirection breaks, silent in resp2", (
        say("t", "SUBSCRIBE __redis__:invalidate"), say("a", "CLIENT TRACKING ON REDIRECT {id:t}", *WATCHED),
        say("t", "QUIT", end=CLOSED), say("b", "SET k v"), say("a", "CLIENT TRACKINGINFO", *WATCHED)),
        masks=REDIRECT + TARGET),
    *both("tracking refused", say(
        "a", "CLIENT TRACKING", "CLIENT TRACKING MAYBE", "CLIENT TRACKING ON REDIRECT 999999", "CLIENT TRACKING ON OPTIN OPTOUT",
        "CLIENT TRACKING ON PREFIX a", "CLIENT TRACKING ON BCAST OPTIN", "CLIENT CACHING YES", "CLIENT TRACKING OFF",
        "CLIENT GETREDIR", "GET k")),
)

WAITING = (
    *both("a blocking command without reply", say("a", "CLIENT REPLY SKIP", "BLPOP k 0", "PING done", end=LATER),
          Await("blocked_clients", "1"), say("b", "LPUSH k v"), say("a", end=b"done\r\n")),
    *both("a blocking command while replies are off", say(
        "a", "CLIENT REPLY OFF", "BLPOP k 0", "CLIENT REPLY ON", "PING done", end=LATER),
        Await("blocked_clients", "1"), say("b", "LPUSH k v"), say("a", end=b"done\r\n")),
    *both("reset behind a blocking command", say("a", "SELECT 1", "BLPOP k 0", "RESET", "PING done", end=LATER),
          Await("blocked_clients", "1"), say("b", "SELECT 1", "LPUSH k v"), say("a", end=b"done\r\n")),
    *both("a transaction behind a blocking command", say(
        "a", "BLPOP k 0", "MULTI", "INCR n", "SUBSCRIBE a b", "EXEC", "PING done", end=LATER),
        Await("blocked_clients", "1"), say("b", "LPUSH k v"), say("a", end=b"done\r\n")),
    *both("ten thousand behind a blocking command", say(
        "a", "BLPOP k 0", *(encode("INCR", "n"),) * 10000, "PING done", end=LATER),
        Await("blocked_clients", "1"), say("b", "GET n", "LPUSH k v"), say("a", end=b"done\r\n")),
    *both("blocked again and again", say("a", *("BLPOP k 0",) * 3, "PING done", end=LATER),
          Await("blocked_clients", "1"), say("b", "RPUSH k 1 2"), Await("blocked_clients", "1"),
          say("b", "CLIENT UNBLOCK {id:a} ERROR"), say("a", end=b"done\r\n")),
    *both("half-closed while blocked", say("a", "PING", "BLPOP k 0", end=LATER), Await("blocked_clients", "1"),
          say("a", end=FIN), Await("blocked_clients", "0"), say("b", "LPUSH k v", "LLEN k")),
    *both("unblock who does not wait", say("a", "PING"), say("b", "CLIENT UNBLOCK {id:a}", "CLIENT UNBLOCK {id:a} ERROR",
                                                             "CLIENT UNBLOCK {id:a} MAYBE", "CLIENT UNBLOCK x")),
    *both("unblock a reader of a stream", say("a", "XREAD BLOCK 0 STREAMS s $", "PING done", end=LATER),
          Await("blocked_clients", "1"), say("b", "CLIENT UNBLOCK {id:a} ERROR"), say("a", end=b"done\r\n")),
    *both("wait with commands behind", say("a", "SET k v", "WAIT 1 20", "GET k", "WAIT 0 0", "WAIT x 0", "WAIT 0 x", "WAIT")),
    *both("a served list moved on to another who waits", say("a", "BLMOVE k m LEFT RIGHT 0", "PING done", end=LATER),
          Await("blocked_clients", "1"), say("c", "BLPOP m 0", "PING done", end=LATER), Await("blocked_clients", "2"),
          say("b", "LPUSH k v"), say("a", end=b"done\r\n"), say("c", end=b"done\r\n")),
    *both("the type changes while blocked", say("a", "BLPOP k 0", "PING done", end=LATER), Await("blocked_clients", "1"),
          say("b", "SET k v", "DEL k", "MULTI", "LPUSH k v", "DEL k", "EXEC", "LPUSH k w"), say("a", end=b"done\r\n")),
    Case("messages while blocked (resp3)", (
        say("a", "HELLO 3", "SUBSCRIBE ch", "CLIENT TRACKING ON", "GET t", "BLPOP k 0", "PING done", end=LATER),
        Await("blocked_clients", "1"), say("b", "PUBLISH ch one", "SET t v"), say("a", end=b"invalidate\r\n*1\r\n$1\r\nt\r\n"),
        say("b", "PUBLISH ch two", "LPUSH k v"), say("a", end=b"done\r\n"))),
)

ERRORS_AT_EXEC = (
    *both("exec without enough replicas", say("a", "MULTI", "SET k v", "GET k", end=b"+QUEUED\r\n" * 2),
          Control("CONFIG SET min-replicas-to-write 1"), say("a", "EXEC", "SET k v", "EXEC"),
          say("a", "WATCH k", "MULTI", "SET k v", "EXEC", "MULTI", "GET k", "EXEC"),
          Control("CONFIG SET min-replicas-to-write 0"), say("a", "EXEC", "SET k v")),
    *both("exec on what became a replica", say("a", "WATCH k", "MULTI", "SET k v", "GET k", end=b"+QUEUED\r\n" * 2),
          Control("REPLICAOF 127.0.0.1 1"), say("a", "EXEC", "SET k v"), say("a", "MULTI", "SET k v", "EXEC"),
          Control("REPLICAOF NO ONE"), say("a", "MULTI", "SET k v", "EXEC"), ruins=True),
    *both("watched keys that end in other ways", say(
        "a", "SET k v PX 20", "WATCH k", end=b"+OK\r\n+OK\r\n"), Await("expired_keys", "1"),
        say("a", "MULTI", "SET k v", "EXEC", "WATCH k l", end=b"+OK\r\n"), say("b", "FLUSHALL"),
        say("a", "MULTI", "SET k v", "EXEC", "WATCH none", "FLUSHALL", "MULTI", "SET k v", "EXEC", "WATCH k", "SET k own",
            "MULTI", "GET k", "EXEC"), say("b", "SWAPDB 0 1"), say("a", "GET k"), say("b", "SWAPDB 0 1")),
    *both("watch, then errors of every kind", say(
        "a", "SET k v", "WATCH k", "MULTI", "LPUSH k 1", "INCR k", "EXEC", "WATCH k", "MULTI", "WATCH k", "EXEC", "WATCH",
        "WATCH k", "MULTI", "SUBSCRIBE", "EXEC", "GET k", "WATCH k", "MULTI", "MULTI", "GET k", "EXEC", "EXEC")),
)

# Each before a server of its own: one route through Spillway is enough.
OWN_SERVERS = (
    *(one(f"a command renamed: {old}", *said, "PING end", server={"rename_command": (old, new)}) for old, new, said in (
        ("MULTI", "BEGIN", ("MULTI", "ECHO a", "EXEC", "BEGIN", "SET k v", "GET k", "EXEC", "BEGIN", "nosuch", "EXEC")),
        ("EXEC", "COMMIT", ("MULTI", "ECHO a", "EXEC", "COMMIT", "MULTI", "SET k v", "COMMIT", "GET k")),
        ("SUBSCRIBE", "LISTEN", ("SUBSCRIBE a b", "LISTEN a b", "PING x", "UNSUBSCRIBE", "GET k")),
        ("HELLO", "HOLA", ("HELLO 3", "HGETALL none", "HOLA 3", "HGETALL none", "HOLA 2", "HGETALL none")),
        ("RESET", "ZERO", ("HELLO 3", "RESET", "HGETALL none", "MULTI", "ZERO", "HGETALL none", "EXEC")),
        ("SELECT", "USE", ("SELECT 1", "USE 1", "SET k v", "USE 0", "GET k")),
        ("QUIT", "BYE", ("QUIT", "ECHO a")))),
    Case("a script that does not end", (
        say("c", "SUBSCRIBE ch"), say("a", "EVAL \"redis.call('publish', 'ch', 'busy') while true do end\" 0", "PING done",
                                      end=LATER),
        say("c", end=b"busy\r\n"), say("b", "SET k v", end=b"\r\n"),
        say("b", "SCRIPT KILL", end=b"\r\n"), say("a", end=b"done\r\n"), say("b", "GET k")),
        server={"busy_reply_threshold": 1}),
)

ENDINGS = (
    *(Case(f"kills itself: {line}", (say("a", "SET k v", line, "PING", end=CLOSED), say("b", "GET k"))) for line in (
        "CLIENT KILL ID {id:a} SKIPME NO", "client kill id {id:a} skipme no type normal",
        "CLIENT KILL USER default ID {id:a} SKIPME no")),
    *(one(f"kills nobody: {line}", line, "PING") for line in (
        "CLIENT KILL", "CLIENT KILL nosuch:1", "CLIENT KILL ID 999999", "CLIENT KILL ID x", "CLIENT KILL TYPE nosuch",
        "CLIENT KILL USER nobody", "CLIENT KILL TYPE pubsub", "CLIENT KILL ADDR 1.2.3.4:5")),
    *(Case(f"does not kill itself: {line}", (say("a", line, "PING"),)) for line in (
        "CLIENT KILL ID {id:a}", "CLIENT KILL ID {id:a} SKIPME yes")),
    *both("kills itself in a transaction", say(
        "a", "MULTI", "SET k v", "CLIENT KILL ID {id:a} SKIPME no", "ECHO x", "EXEC", "PING", end=CLOSED), say("b", "GET k")),
    *both("kills itself while subscribed", say("a", "HELLO 3", "SUBSCRIBE ch", "CLIENT KILL ID {id:a} SKIPME no", "PING",
                                               end=CLOSED)),
    *both("kills itself without reply", say("a", "CLIENT REPLY OFF", "CLIENT KILL ID {id:a} SKIPME no", "PING", end=FIN)),
    *both("is killed in a transaction", say("a", "MULTI", "SET k v", end=b"+QUEUED\r\n"), say("b", "CLIENT KILL ID {id:a}", "GET k"),
          say("a", end=CLOSED)),
    *both("is killed while subscribed", say("a", "SUBSCRIBE ch"), say("b", "CLIENT KILL TYPE pubsub", "PUBLISH ch x"),
          say("a", end=CLOSED)),
    *(Case(f"shutdown meets {what}", (say("a", *state, end=end), *wait, say("b", "SHUTDOWN NOSAVE", end=CLOSED),
                                      say("a", end=CLOSED)), ruins=True)
      for what, state, end, wait in (
          ("a transaction", ("MULTI", "SET k v"), b"+QUEUED\r\n", ()), ("a subscriber", ("SUBSCRIBE ch",), b":1\r\n", ()),
          ("one who waits", ("BLPOP k 0", "PING"), LATER, (Await("blocked_clients", "1"),)),
          ("one without replies", ("PING", "CLIENT REPLY OFF"), b"+PONG\r\n", ()))),
    one("shutdown in a pipeline", "SET k v", "GET k", "SHUTDOWN NOSAVE", "GET k", end=CLOSED, ruins=True, whole=True),
    one("shutdown without a reply to give", "CLIENT REPLY SKIP", "SHUTDOWN NOSAVE", "PING", end=CLOSED, ruins=True),
    Case("one client too many, and room again", (
        say("a", "PING"), say("b", "PING"), Control("CONFIG SET maxclients {connected}"), say("c", end=CLOSED),
        say("a", "CONFIG SET maxclients 500"), say("d", "PING"))),
)
