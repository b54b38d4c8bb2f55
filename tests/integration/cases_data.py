# Replies of every type and shape, transactions, blocking commands, and Redis' own refusals for memory.
from differential import LATER, Await, Case, Control, one, say
from cases_pubsub import both
from wire import encode

KINDS = "string integer double null array set map attrib push verbatim true false bignum error".split()
FULL, ROOMY = Control("CONFIG SET maxmemory 1"), Control("CONFIG SET maxmemory 4gb")
NEST = "local t = 'x' for i = 1, 200 do t = {t, i} end return t"
RESP3_SCRIPT = ("redis.setresp(3) return {redis.call('hgetall', 'h'), redis.call('smembers', 's'), "
                "redis.call('zscore', 'z', 'a'), {double=1.5}, {double=1/0}, {double=-1/0}, {map={a=1}}, "
                "{set={only=true}}, {big_number='12345678901234567890'}, {verbatim_string={format='txt', string='v'}}, "
                "true, false}")

TYPES = (
    *both("debug protocol", *(say("a", f"DEBUG PROTOCOL {kind}", "PING") for kind in KINDS)),
    *both("aggregates", say(
        "a", "HSET h a 1 b 2", "SADD s only", "ZADD z 1.5 a inf b -inf c", "RPUSH l 1 2 3", "HGETALL h", "SMEMBERS s",
        "ZRANGE z 0 -1 WITHSCORES", "ZSCORE z b", "ZMSCORE z a none", "LPOP none 2", "LPOP l 2", "GEOADD g 1 2 m",
        "GEOPOS g m none", "MGET k h none", "INCRBYFLOAT f 1.25", "GET none", "HMGET h a none", "LPOS l 9",
        "EXISTS h", "CONFIG GET max*", "XADD x 1-1 f v", "XRANGE x - +", "XINFO STREAM x", "OBJECT ENCODING h",
        "MEMORY DOCTOR", "ACL GETUSER default", "COMMAND GETKEYS MSET a 1 b 2", "COMMAND INFO get nosuch",
        "FUNCTION LIST", "SLOWLOG LEN", "PUBSUB NUMSUB a b", "LCS h h", "SET k 1", "LCS k k IDX")),
    *both("role", say("a", "ROLE"), masks=((rb"master\r\n:\d+", b"master\r\n:<offset>"),)),
    *both("whole command table", say("a", "COMMAND", "COMMAND DOCS", "COMMAND LIST", "COMMAND COUNT"),
          unordered=True),
    *both("scripts", say(
        "a", f'EVAL "{NEST}" 0', "EVAL 'return {1, 2.9, false, true, {}, {1, nil, 2}}' 0",
        "EVAL 'return redis.error_reply(\"MY own error\")' 0", "EVAL 'return redis.status_reply(\"FINE\")' 0",
        "EVAL 'return redis.call(\"nosuch\")' 0", "EVAL 'return redis.pcall(\"get\")' 0", "EVAL 'syntax' 0",
        "EVAL 'return {redis.pcall(\"get\"), 1, {redis.pcall(\"lpush\", \"s\", 1)}}' 0", "EVALSHA 0000 0",
        "SCRIPT LOAD 'return 1'", "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0", "EVAL 'return' 0",
        "FUNCTION LOAD \"#!lua name=lib\nredis.register_function('f', function() return {1, 'a'} end)\"",
        "FCALL f 0", "FCALL nosuch 0", "FUNCTION DELETE lib", "EVAL 'return {ok=1}' 0", "EVAL \"return {err='x'}\" 0")),
    *both("scripts that answer in resp3", say(
        "a", "HSET h a 1", "SADD s m", "ZADD z 1.25 a", f'EVAL "{RESP3_SCRIPT}" 0', "EVAL 'return {double=0/0}' 0")),
    *both("large replies", say(
        "a", "SETRANGE big 1000000 x", "GET big", "EVAL \"for i=1,20000 do redis.call('rpush', 'l', i) end\" 0",
        "LRANGE l 0 -1", "GET big", "EVAL 'local t = {} for i=1,50000 do t[i] = {i, {}} end return t' 0")),
    one("errors", "GET", "nosuch", "LPUSH l 1", "GET l", "INCR l", "SET k v EX", "SET k v EX 0", "SET k v NX XX",
        "OBJECT FREQ k", "DEBUG NOSUCH", "DEBUG ERROR 'custom line'", "XADD x 0-0 f v", "EXPIRE k abc",
        "RESTORE k 0 junk",
        "CLUSTER INFO", "ASKING", "READONLY", "READWRITE", "FAILOVER", "MIGRATE", "LATENCY HISTOGRAM nosuch"),
)

TRANSACTIONS = (
    *both("multi", say("a", "MULTI", "SET k v", "GET k", "EXEC", "MULTI", "EXEC", "MULTI", "SET k w", "DISCARD",
                       "GET k",
                       "EXEC", "DISCARD", "MULTI", "MULTI", "WATCH k", "EXEC", "MULTI", "SELECT 3", "SET k three",
                       "SELECT 0", "EXEC", "GET k", "EXEC extra", "MULTI extra")),
    *both("poisoned", say("a", "MULTI", "nosuch", "SET k v", "EXEC", "MULTI", "GET", "EXEC", "EXEC", "MULTI",
                          "SHUTDOWN",
                          "EXEC", "MULTI", "nosuch", "DISCARD", "MULTI", "nosuch", "RESET", "PING", "GET k")),
    *both("errors inside exec", say("a", "MULTI", "SET k v", "LPUSH k 1", "INCR k", "EVAL 'return redis.call(\"x\")' 0",
                                    "GET k", "EXEC")),
    *both("blocking commands in multi", say("a", "MULTI", "BLPOP none 0", "WAIT 1 0", "XREAD BLOCK 0 STREAMS x $",
                                            "BLMOVE none other LEFT LEFT 0", "EXEC")),
    one("silent requests in multi", "MULTI", b"*0\r\n*-1\r\n\r\n", "SET k v", b"\n", "EXEC"),
    one("nested replies in exec", "MULTI", *("EVAL 'return {1, {2, {3}}}' 0",) * 100, "EXEC", "PING"),
    one("a large transaction", "MULTI", *(encode("SET", f"k{i}", "v" * 100) for i in range(5000)), "EXEC",
        "DBSIZE", end=b":5000\r\n"),
)


def watch(name, first, touch, then, hello=()):
    """K is watched, `touch` happens between `first` and `then`."""
    last = b"+QUEUED\r\n" if first[-1:] == ("SET k a",) else b"+RESET\r\n" if first == ("RESET",) else b"+OK\r\n"
    return Case(f"watch {name} {hello}", (say("a", *hello, "SET k 0", "WATCH k l", *first, end=last), *touch,
                                          say("a", *then, "GET k")))


TOUCH, THEN = (say("b", "SET k b"),), ("MULTI", "SET k a", "EXEC")
TRANSACTIONS += tuple(
    watch(*row, hello=hello) for hello in ((), ("HELLO 3",)) for row in (
        ("then touch by another", (), TOUCH, THEN),
        ("then touch after multi", ("MULTI",), TOUCH, ("SET k a", "EXEC")),
        ("then touch after queueing", ("MULTI", "SET k a"), TOUCH, ("EXEC",)),
        ("unwatched", ("UNWATCH",), TOUCH, THEN),
        ("untouched", (), (say("b", "SET other b"),), THEN),
        ("dirty and poisoned", (), TOUCH, ("MULTI", "nosuch", "EXEC", "EXEC")),
        ("reset", ("RESET",), TOUCH, THEN),
        ("discarded", ("MULTI", "DISCARD"), TOUCH, THEN)))


def blocked(command, *parts, then=("PING done",), **options):
    """A blocks with a pipeline behind it; B says parts; A's later replies come in order."""
    return both(f"{command} / {parts}", say("a", command, *then, end=LATER), Await("blocked_clients", "1"),
                say("b", *parts), say("a", end=b"done\r\n"), **options)


BLOCKING = (
    *both("time out", say("a", "BLPOP none 0.01", "BLMOVE none other LEFT LEFT 0.01", "BZPOPMIN none 0.01", "PING x",
                          "XREAD BLOCK 10 STREAMS none $", "WAIT 1 10", "BLPOP none abc", "BLPOP none -1")),
    *blocked("BLPOP k l 0", "LPUSH l one two"),
    *blocked("BLPOP k 0", "RPUSH k v", then=("SET after 1", "GET after", "BLPOP k 0.01", "PING done")),
    *blocked("BRPOPLPUSH k m 0", "LPUSH k v"), *blocked("BLMOVE k m LEFT RIGHT 0", "SET m string", "LPUSH k v"),
    *blocked("BZPOPMIN z 0", "ZADD z 1.5 a"), *blocked("BLMPOP 0 2 k l LEFT COUNT 5", "RPUSH l a b c"),
    *blocked("XREAD BLOCK 0 STREAMS x $", "XADD x 5-1 f v"), *blocked("BLPOP k 0", "CLIENT UNBLOCK {id:a}"),
    *blocked("BLPOP k 0", "CLIENT UNBLOCK {id:a} ERROR"),
    *both("stream group loses its stream", say("b", "XGROUP CREATE x g $ MKSTREAM"),
          say("a", "XREADGROUP GROUP g c BLOCK 0 STREAMS x >", "PING done", end=LATER), Await("blocked_clients", "1"),
          say("b", "DEL x"), say("a", end=b"done\r\n")),
    *both("one of many is served, in order", *(say(who, "BLPOP k 0", "PING done", end=LATER) for who in "acd"),
          Await("blocked_clients", "3"), say("b", "RPUSH k 1 2 3"), *(say(who, end=b"done\r\n") for who in "acd"),
          masks=((rb"\$1\r\n[123]\r\n", b"$1\r\n<n>\r\n"),)),
    *both("client pause", say("b", "CLIENT PAUSE 30 WRITE"), say("a", "GET k", "SET k v", "GET k")),
    *both("debug sleep", say("a", "DEBUG SLEEP 0.02", "PING")),
)

# What Redis refuses for memory: at top level, when queueing, at EXEC, in scripts.
OOM = (
    Case("oom at top level", (FULL, say("a", "SET k v", "GET k", "DEL k", "LPUSH l 1", "EVAL 'return 1' 0",
                                        "APPEND k v",
                                        "MULTI", "DISCARD", "WATCH k", "UNWATCH"), ROOMY, say("a", "SET k v"))),
    *(Case(f"oom in multi: {command}", (FULL, say("a", "MULTI", command, "EXEC", "EXEC")))
      for command in ("SET k v", "GET k", "PING", "DEL k", "MULTI", "WATCH k", "nosuch", "EVAL 'return 1' 0")),
    *(Case(f"oom at exec: {queued} / {then}", (
        say("a", "MULTI", *queued, end=b"+QUEUED\r\n" * len(queued)), FULL, say("a", *then, end=b"\r\n"), *after,
        say("a", "EXEC", end=b"\r\n"), ROOMY, say("a", "EXEC", "GET k")))
      for queued, then, after in (
          (("SET k v",), ("EXEC",), ()), (("SET k v",), ("SET l v",), ()), (("GET k", "DEL k"), ("EXEC",), ()),
          (("GET k",), ("SET k v",), (ROOMY,)), (("SET k v", "GET k"), ("DISCARD",), ()),
          (("EVAL 'redis.call(\"set\", \"k\", 1)' 0", "DEL k"), ("EXEC",), ()),
          (("EVAL 'return {1, redis.pcall(\"set\", \"k\", 1)}' 0",), ("EXEC",), ()),
          (("EVAL '#!lua\nreturn 1' 0",), ("EXEC",), ()))),
    *(Case(f"oom at exec of a watched key touched {when}", (
        say("a", "WATCH k", "MULTI", end=b"+OK\r\n+OK\r\n"), *before, say("a", "SET k a", end=b"+QUEUED\r\n"), *after,
        FULL, say("a", "EXEC", end=b"\r\n"), ROOMY, say("a", "GET k")))
      for when, before, after in (("after queueing", (), (say("b", "SET k b"),)),
                                  ("before queueing", (say("b", "SET k b"),), ()))),
    Case("oom in scripts", (FULL, say(
        "a", "EVAL \"return redis.call('set', 'k', 1)\" 0", "EVAL \"return redis.pcall('set', 'k', 1)\" 0",
        "EVAL \"return {1, redis.pcall('set', 'k', 1), 's'}\" 0", "EVAL '#!lua\nreturn 1' 0",
        "EVAL '#!lua flags=allow-oom\nreturn redis.call(\"set\", \"k\", 1)' 0",
        "EVAL 'return redis.error_reply(\"OOM x\")' 0",
        "EVAL \"redis.call('del', 'none') return redis.call('set', 'k', 1)\" 0", "FUNCTION LOAD x", "GET k"))),
    Case("oom under client reply", (FULL, say("a", "CLIENT REPLY SKIP", "SET k v", "GET k", "CLIENT REPLY OFF",
                                              "SET k v",
                                              "CLIENT REPLY ON", "SET k v", "GET k"))),
    Case("oom in a pipeline", (FULL, say("a", *("SET k v", "GET k") * 500))),
    Case("oom in resp3", (FULL, say("a", "HELLO 3", "SET k v", "HGETALL h", "MULTI", "SET k v", "EXEC"))),
)
