# Commands that change the connection itself: protocol, identity, database, replies, and its end.
from differential import CLOSED, LATER, Await, Case, Control, one, say

LOCKED = {"password": "sesame"}
ID = ((rb":\d+\r\n", b":<n>\r\n"),)
NOAUTH = b"-NOAUTH Authentication required.\r\n"

SESSION = (
    # SELECT
    one("select", "SELECT 1", "SET k one", "SELECT 0", "GET k", "SELECT 1", "GET k", "SELECT 99", "SELECT x",
        "SELECT", "GET k", "SWAPDB 0 1", "GET k", "MOVE k 2", "SELECT 2", "GET k"),
    # HELLO
    one("hello", "HELLO"), one("hello 2", "HELLO 2", "HGETALL none"),
    one("hello 3 and back mid-pipeline", "HSET h a 1 b 2", "HGETALL h", "HELLO 3", "HGETALL h", "GET none",
        "HELLO", "HELLO 2", "HGETALL h", "GET none", "HELLO 3", "HELLO 3"),
    one("hello refused", "HELLO 9", "HELLO 1", "HELLO x", "HELLO 3 NOSUCH", "HELLO 3 AUTH a",
        "HELLO 3 SETNAME", "HELLO 3 SETNAME 'a b'", "HELLO 3 AUTH nobody wrong", "HGETALL none", "CLIENT GETNAME"),
    one("hello with name and default user", "HELLO 3 AUTH default any SETNAME me", "CLIENT GETNAME", "HELLO 2"),
    one("hello 3 in multi", "HSET h a 1", "MULTI", "HGETALL h", "HELLO 3", "HGETALL h", "EXEC", "HGETALL h",
        "GET none"),
    one("hello 2 in multi under resp3", "HELLO 3", "HSET h a 1", "MULTI", "HGETALL h", "HELLO 2", "HGETALL h",
        "EXEC", "HGETALL h", "GET none"),
    one("hello locked", "HELLO 3", "HELLO 3 AUTH default wrong", "HELLO 9 AUTH default sesame", "PING",
        "HELLO 3 AUTH default sesame", "PING", "CONFIG GET maxmemory-policy", server=LOCKED, auth_fails=True),
    # AUTH and ACL
    one("auth without a password set", "AUTH x", "AUTH default x", "AUTH a b c", "AUTH nobody x", "ACL WHOAMI",
        auth_fails=True),
    one("auth", "PING", "GET k", "nosuch", "AUTH wrong", "AUTH sesame", "GET k", "ACL WHOAMI", "RESET", "GET k",
        "AUTH default sesame", "SET k v", "QUIT", server=LOCKED, end=CLOSED, auth_fails=True),
    one("unauthenticated multi and subscribe", "MULTI", "SUBSCRIBE a", "CLIENT REPLY OFF", "EXEC", "QUIT",
        server=LOCKED, end=CLOSED),
    one("acl user", "ACL SETUSER alice on >pw ~a:* &ch:* +@read +set +multi +exec +client|id +subscribe -debug",
        "AUTH alice pw", "ACL WHOAMI", "SET a:1 v", "SET b:1 v", "GET a:1", "GET b:1", "DEL a:1", "CONFIG GET x",
        "MULTI", "SET b:2 v", "SET a:2 v", "EXEC", "CLIENT GETNAME", "SUBSCRIBE other", "AUTH alice no",
        auth_fails=True),
    Case("a deleted user's connection is closed", (
        say("a", "ACL SETUSER alice on nopass ~* &* +@all", "AUTH alice x", "ACL WHOAMI"),
        say("b", "ACL DELUSER alice"), say("a", "PING", end=CLOSED))),
    # Names and attributes
    one("client commands", "CLIENT SETNAME me", "CLIENT GETNAME", "CLIENT SETNAME 'a b'", "CLIENT NO-EVICT on",
        "CLIENT INFO", "CLIENT SETNAME ''", "CLIENT GETNAME", "CLIENT TRACKINGINFO", "CLIENT NOSUCH",
        "CLIENT REPLY", "CLIENT REPLY MAYBE", "CLIENT GETREDIR", "CLIENT UNBLOCK 99999999"),
    one("client id", "CLIENT ID", "CLIENT ID extra", masks=ID),
    # RESET and QUIT
    one("reset", "HELLO 3", "SELECT 3", "SET k v", "CLIENT SETNAME me", "RESET", "GET k", "CLIENT GETNAME",
        "HGETALL none", "RESET extra", "MULTI", "SET k v", "RESET", "EXEC", "WATCH k", "RESET", "GET k"),
    one("quit", "QUIT", end=CLOSED), one("quit with arguments", "QUIT now please", end=CLOSED),
    one("nothing runs after quit", "SET k 1", "QUIT", "SET k 2", "PING", end=CLOSED),
    one("quit in multi", "MULTI", "SET k 1", "QUIT", "EXEC", end=CLOSED),
    one("inline quit", b"PING\r\nQUIT\r\nPING\r\n", end=CLOSED),
    one("quit under reply off: no reply, no close", "CLIENT REPLY OFF", "QUIT", "PING"),
    one("quit under reply skip", "CLIENT REPLY SKIP", "QUIT", "PING"),
    # CLIENT REPLY
    one("reply off and on", "PING", "CLIENT REPLY OFF", "SET k v", "nosuch", "GET", "GET k", "CLIENT REPLY ON",
        "GET k", "CLIENT REPLY ON", "CLIENT REPLY OFF", "CLIENT REPLY OFF", "HELLO 3", "CLIENT REPLY ON",
        "HGETALL none"),
    one("reply skip", "CLIENT REPLY SKIP", "SET k v", "GET k", "CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "SET k w",
        "GET k", "CLIENT REPLY SKIP", "nosuch", "GET k", "CLIENT REPLY SKIP", "CLIENT REPLY ON", "GET k"),
    one("reply skip then off", "CLIENT REPLY SKIP", "CLIENT REPLY OFF", "GET k", "CLIENT REPLY ON", "PING"),
    one("reply skip then silent requests", "CLIENT REPLY SKIP", b"*0\r\n\r\n", "ECHO skipped", "ECHO heard"),
    one("reply skip before multi", "CLIENT REPLY SKIP", "MULTI", "SET k v", "CLIENT REPLY SKIP", "GET k", "EXEC",
        "PING"),
    one("reply skip with a bad argument", "CLIENT REPLY OFF", "CLIENT REPLY MAYBE", "CLIENT REPLY ON", "PING"),
    one("reply off in multi", "MULTI", "SET k v", "CLIENT REPLY OFF", "GET k", "EXEC", "PING"),
    one("reply off in multi, on again", "MULTI", "CLIENT REPLY OFF", "EXEC", "PING", "CLIENT REPLY ON", "ECHO x"),
    one("reply skip in multi", "MULTI", "CLIENT REPLY SKIP", "GET k", "EXEC", "PING", "PING"),
    one("reply off ended by reset", "CLIENT REPLY OFF", "PING", "RESET", "PING"),
    one("reply off around a transaction", "CLIENT REPLY OFF", "MULTI", "INCR n", "EXEC", "CLIENT REPLY ON",
        "GET n"),
    Case("reply off still delivers pub/sub", (
        say("a", "CLIENT REPLY OFF", "SUBSCRIBE ch", "PSUBSCRIBE p*", "PING", end=b":2\r\n"),
        say("b", "PUBLISH ch one", "PUBLISH pq two"), say("a", "UNSUBSCRIBE", "PUNSUBSCRIBE", end=b":0\r\n"))),
    Case("reply off in resp3 still delivers pub/sub", (
        say("a", "HELLO 3", "CLIENT REPLY OFF", "SUBSCRIBE ch", "GET k", end=b":1\r\n"),
        say("b", "PUBLISH ch one"), say("a", "CLIENT REPLY ON", "GET k"))),
    one("reply skip before subscribe", "CLIENT REPLY SKIP", "SUBSCRIBE a b", "PING x", "UNSUBSCRIBE", "PING y"),
    # Ends that others bring
    Case("kills itself", (say("a", "CLIENT KILL ID {id:a} SKIPME no", "PING", end=CLOSED),)),
    Case("is killed by another", (
        say("a", "PING"), say("b", "CLIENT KILL ID {id:a}"), say("a", end=CLOSED))),
    Case("is killed while blocked, with a pipeline behind", (
        say("a", "BLPOP none 0", "PING", end=LATER), Await("blocked_clients", "1"),
        say("b", "CLIENT KILL ID {id:a}"), say("a", end=CLOSED))),
    Case("connection above maxclients gets an error it did not ask for", (
        say("a", "PING"), Control("CONFIG SET maxclients {connected}"), say("b", end=CLOSED), say("a", "PING"))),
    Case("killed by its output buffer limit", (
        say("a", "SUBSCRIBE ch"), Control("CONFIG SET client-output-buffer-limit 'pubsub 1mb 0 0'"),
        say("b", "EVAL \"for i=1,8 do redis.call('publish', 'ch', string.rep('x', 1048576)) end\" 0"),
        say("a", end=CLOSED))),
    one("shutdown errors", "SHUTDOWN BADARG", "SHUTDOWN ABORT", "MULTI", "SHUTDOWN NOSAVE", "EXEC", "PING"),
    Case("shutdown", (say("a", "SET k v"), say("a", "SHUTDOWN NOSAVE", "PING", end=CLOSED)), ruins=True),
    Case("shutdown by another", (say("a", "SET k v"), say("b", "SHUTDOWN NOSAVE", end=CLOSED),
                                 say("a", end=CLOSED)), ruins=True),
)
