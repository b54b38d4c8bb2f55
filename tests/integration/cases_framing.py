# Requests at the edges of the protocol: inline and multibulk forms, what has no reply, and protocol errors.
from differential import CLOSED, LATER, Case, Hang, one, say
from wire import encode

PING = b"*1\r\n$4\r\nPING\r\n"
ECHO = b"*2\r\n$4\r\nECHO\r\n$5\r\nafter\r\n"
LOCKED = {"password": "sesame"}

# Inline requests, each followed by an ECHO that shows where the line was taken to end.
INLINE = (
    b"PING\r\n", b"PING\n", b"PING hello\r\n", b"  PING  \r\n", b"\tPING\thi\t\r\n", b"pInG\r\n",
    b"SET k v\r\nGET k\r\n", b'SET k "a b"\r\nGET k\r\n', b"SET k 'a b'\r\nGET k\r\n",
    b'SET k "\\x41\\r\\n\\t\\a\\b\\"\\\\"\r\nGET k\r\n', b"SET k 'it\\'s'\r\nGET k\r\n",
    b'SET k ab"c"\r\nGET k\r\n', b'SET k ""\r\nGET k\r\n', b'""\r\n', b"''\r\n", b'"" a b\r\n',
    b"SET k a\rb\r\nGET k\r\n", b"PING\r\r\n", b"ECHO \xff\xfe\r\n", b"ECHO *3\r\n", b"$4\r\n",
    b"+PING\r\n", b"%1\r\n", b"-x\r\n", b":1\r\n", b">2\r\n", b"~1\r\n", b"(1\r\n", b"_\r\n", b"nosuch a b c\r\n",
    b"GET\r\n", b"CLIENT\r\n", b"CLIENT nosuch\r\n", b"ECHO " + b"x" * 60000 + b"\r\n",
)

# Requests that Redis answers with nothing, and goes on.
SILENT = (b"*0\r\n", b"*-1\r\n", b"*-5\r\n", b"*-2147483648\r\n", b"\r\n", b"\n", b"   \r\n",
          b"\t\n", b"*0\r\n*-1\r\n\r\n\n" * 50)

# Multibulk requests that are odd but accepted: terminators are skipped, not verified (before Valkey 9.1).
ODD = (
    b"*1\r\n$4\r\nPINGXX", b"*1\rX$4\rXPINGab", b"*2\rX$4\r\nECHO\n\n$2\rYhiZZ", b"*1\r\n$0\r\n\r\n",
    b"*2\r\n$0\r\n\r\n$1\r\na\r\n", b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
    encode("ECHO", b"\r\n*1\r\n$4\r\nPING\r\n"), encode("SET", b"\x00\r\n", bytes(range(256))),
    encode("no\r\nsuch", "a\r\nb"), encode("nosuch" * 50, "a" * 300, "b" * 300),
    encode("GET"), encode("GET", "a", "b"), encode("CLIENT"), encode("CLIENT", "NOSUCH"),
    encode("CONFIG", "NOSUCH", "x"), encode("get", "k"), encode("gEt", "k"), encode("OBJECT", "HELP"),
    encode("MSET", *range(20000)), encode("DEL", *range(10000)), encode("ECHO", b"e" * 70000),
    encode("SET", "k", b"v" * 33000), encode("APPEND", "k", b"w" * 300000),
)

# What ends in a protocol error; sent after a good command and before one that must not run.
BROKEN = (
    b"*x\r\n", b"*+1\r\n", b"*01\r\n", b"* 1\r\n", b"*1 \r\n", b"*\r\n", b"*1.0\r\n",
    b"*2147483648\r\n", b"*99999999999999999999\r\n", b"*1\n$4\nPING\n\r\n", b"*-\r\n",
    b"*1\r\nPING\r\n", b"*1\r\n+PING\r\n", b"*1\r\n:1\r\n", b"*1\r\n\r\n", b"*2\r\n$4\r\nECHO\r\n*1\r\n",
    b"*1\r\n$-1\r\n", b"*1\r\n$x\r\n", b"*1\r\n$+4\r\n", b"*1\r\n$04\r\n", b"*1\r\n$ 4\r\n", b"*1\r\n$\r\n",
    b"*1\r\n$536870913\r\n", b"*1\r\n$99999999999999999999\r\n", b"*1\r\n$-5\r\n",
    b'PING "a\r\n', b"PING 'a\r\n", b'PING "abc"def\r\n', b"PING 'abc'def\r\n", b'PING "\\\r\n',
    b"*1\r\n$4\r\nPINGX$4\r\nPING\r\n*y\r\n", encode("SET", "k", "v") + b"*1\r\n$4\r\nPI\r\nNG\r\n*q\r\n",
)

# More than 64 KB without the newline that a header or an inline request must end in.
ENDLESS = {"inline": b"x" * 200000, "array header": b"*" + b"1" * 100000,
           "bulk header": b"*2\r\n$" + b"1" * 100000}

# Requests that never become whole: the connection waits, and goes when the client does.
UNFINISHED = (
    b"*2147483647\r\n", b"*100000000\r\n$4\r\nPING\r\n", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nab",
    b"*1\r\n$4\r\nPING", b"*1\r\n$4\r\nPING\r", b"*1", b"*", b"$", b"PING", b"*1\r\n$4\r", b"PI\x00NG\r\n",
    b"*2\r\n$3\r\nGET\r\n$536870912\r\nabc",
)

FRAMING = (
    *(one(f"inline {line[:40]!r}", line, ECHO) for line in INLINE),
    *(one(f"silent {data[:40]!r}", PING, data, ECHO, data, PING) for data in SILENT),
    *(one(f"odd {data[:40]!r}", data, ECHO, data) for data in ODD),
    *(one(f"broken {data[:60]!r}", PING, data, ECHO, end=CLOSED) for data in BROKEN),
    *(one(f"endless {name}", PING, data, end=CLOSED) for name, data in ENDLESS.items()),
    *(one(f"unfinished {data[:40]!r}", PING, data) for data in UNFINISHED),
    one("inline and multibulk mixed", (b"PING\r\n" + PING + b"\r\nECHO a\n" + ECHO + b"*0\r\n") * 20),
    one("nothing at all"),
    one("10,000 pipelined", *(encode("INCR", "n") + encode("ECHO", i) for i in range(5000)),
        end=b"$4\r\n4999\r\n"),
    one("protocol error under REPLY OFF: neither error nor close", "CLIENT REPLY OFF", b"*x\r\n", PING),
    one("web browser", b"GET / HTTP/1.1\r\nHost: example\r\nAccept: */*\r\n\r\n", end=CLOSED, whole=True),
    one("web form", b"POST / HTTP/1.1\r\nHost: example\r\n\r\n", end=CLOSED),
    one("multibulk POST", encode("POST", "x"), PING, end=CLOSED),
    Case("a large header of one client does not disturb another", (
        say("a", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$314572800\r\nabc", end=LATER),
        say("b", "SET other 1", "GET other"), Hang("a"), say("b", "GET k"))),
    Case("command cut by a disconnect is not run", (
        say("a", "SET k old"), say("a", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nne", end=LATER), Hang("a"),
        say("b", "GET k"))),
    *(one(f"unauthenticated {data!r}", data, end=CLOSED, server=LOCKED)
      for data in (b"*2\r\n$4\r\nECHO\r\n$16385\r\n",)),
    one("unauthenticated within the limits", encode("ECHO", b"x" * 16384), encode(*"abcdefghij"),
        "nosuch", "GET", server=LOCKED),
    one("query buffer limit", "CONFIG SET client-query-buffer-limit 1mb",
        encode("SET", "k", b"v" * 3000000), end=CLOSED),
)
