# Runs one dialogue against Redis itself and through Spillway, and says where the bytes differ.
import itertools
import re
import shlex
from dataclasses import dataclass, field
from typing import NamedTuple

from harness import PUMP, REDIS, RedisServer, Spillway, is_newer, until
from wire import Wire, encode, encode_line

# How a step knows that all its bytes have come. TOKEN sends a PING with an argument of its own,
# which ends in the same bulk in every protocol and subscription state.
TOKEN, CLOSED, FIN, LATER = "token", "closed", "fin", "later"
SERVER = {"enable_debug_command": "yes", "repl_diskless_sync": "no", "maxmemory": "4gb",
          "maxclients": 500, "repl_ping_replica_period": 3600, "slowlog_log_slower_than": -1}


class Say(NamedTuple):
    """Connection `who` sends parts (str: a command line; bytes: as they are), then reads to `end`:
    one of the above, or the bytes that show that the last of the answer is there."""
    who: str
    parts: tuple
    end: object


class Control(NamedTuple):
    """A command of the harness to the backend itself."""
    line: str


class Await(NamedTuple):
    """Waits until a field of the backend's INFO has a value."""
    name: str
    value: str


class Hang(NamedTuple):
    """Connection `who` goes away at once."""
    who: str


def say(who, *parts, end=TOKEN):
    return Say(who, parts, end)


@dataclass(frozen=True)
class Case:
    name: str
    steps: tuple
    server: dict = field(default_factory=dict)   # further directives: a server of its own
    masks: tuple = ()                            # (pattern, replacement) besides the common ones
    whole: bool = False                          # the outcome depends on how requests are cut
    # Since Redis 7.2 a failed AUTH is not answered while replies are unsent, which depends on the same.
    auth_fails: bool = False
    unordered: bool = False                      # Redis' own order may change: compare sorted lines
    ruins: bool = False                          # leaves a server that no other case may use


def one(name, *parts, end=FIN, **options):
    """A case of one connection that says everything at once and half-closes."""
    return Case(name, (say("a", *parts, end=end),), **options)


# Only what differs between two runs against one Redis: ids, addresses, times, ports.
COMMON_MASKS = (
    (rb"(\$2\r\nid\r\n):\d+", rb"\1:<id>"),
    (rb"[$=]\d+\r\n(txt:)?id=\d+ addr=[^\r]*?\n\r\n", rb"<client rows>"),
    (rb"\+\d+\.\d{6} \[(\d+) [^\]]+\]", rb"+<time> [\1 <addr>]"),
    # The monitoring connection is part of the deployment: its commands are not the client's.
    (rb"\+<time> \[\d+ <addr>\] \"(?i:info|command|ping|hello|client|auth|select|function)\"[^\r]*\r\n", b""),
    (rb"FULLRESYNC [0-9a-f]{40} \d+", b"FULLRESYNC <replid> <offset>"),
)


def mask(data, masks):
    for pattern, replacement in itertools.chain(COMMON_MASKS, masks):
        data = re.sub(pattern, replacement, data, flags=re.DOTALL)
    return data


class Dialogue:
    """One run of a case's steps: what each connection received, and whether it was closed."""

    def __init__(self, case, redis, endpoint, split, timeout):
        self.case, self.redis, self.endpoint = case, redis, endpoint
        whole = case.whole or (case.auth_fails and is_newer(redis.binary))
        self.split, self.timeout = "whole" if whole else split, timeout
        self.wires, self.heard, self.ends, self.ids, self.step = {}, {}, {}, {}, None

    def run(self):
        try:
            for number, self.step in enumerate(self.case.steps):
                self.take(self.step, number)
            for who, wire in self.wires.items():
                if not wire.ended:
                    wire.finish()
                    self.heard[who] += wire.read_to_end()
        finally:
            for wire in self.wires.values():
                wire.socket.close()
        return {who: (self.comparable(data), self.ends.get(who, "end of input"))
                for who, data in self.heard.items()}

    def comparable(self, data):
        data = mask(data, self.case.masks)
        return b"\r\n".join(sorted(data.split(b"\r\n"))) if self.case.unordered else data

    def take(self, step, number):
        if isinstance(step, Control):
            connected = int(self.redis.info("clients")["connected_clients"])
            self.redis.control.send(encode_line(step.line.format(connected=connected)))
            self.redis.control.reply()
        elif isinstance(step, Await):
            until(f"{step.name}:{step.value}",
                  lambda: self.redis.info().get(step.name) == step.value, self.timeout)
        elif isinstance(step, Hang):
            self.wires.pop(step.who).socket.close()
        else:
            self.speak(step, number)

    def speak(self, step, number):
        wire = self.wires.get(step.who)
        if wire is None:
            wire = self.wires[step.who] = Wire(self.endpoint, self.timeout)
            self.heard[step.who] = b""
            if any(f"{{id:{step.who}}}" in str(other) for other in self.case.steps):
                self.ids["id:" + step.who] = wire.command("CLIENT", "ID")
        wire.send(b"".join(map(self.bytes_of, step.parts)), self.split, seed=number + 1)
        if step.end == TOKEN:
            token = b"token-%d" % number
            wire.send(encode("PING", token))
            self.heard[step.who] += wire.read_until(b"$%d\r\n%s\r\n" % (len(token), token))
        elif step.end in (FIN, CLOSED):
            if step.end == FIN:
                wire.finish()
            self.heard[step.who] += wire.read_to_end()
            self.ends[step.who] = step.end
        elif step.end != LATER:
            self.heard[step.who] += wire.read_until(step.end)

    def bytes_of(self, part):
        if isinstance(part, bytes):
            return part
        for name, value in self.ids.items():
            part = part.replace("{" + name + "}", str(value))
        return encode_line(part)


class Backend:
    """One Redis for both sides: what hash seeds decide (the order of COMMAND, say) is then equal."""

    def __init__(self, stack, settings, binary=REDIS):
        self.redis = stack.enter_context(RedisServer(binary=binary, **{**SERVER, **settings}))

    def front(self, stack, route):
        """Puts Spillway before it; gives the endpoint for clients."""
        backend = self.redis
        if route.chopped:
            backend = stack.enter_context(Spillway(backend, binary=PUMP, env={"PUMP_FAULT": "chop"}))
            backend.url = self.redis.url.replace(str(self.redis.port), str(backend.port))
        listener = route.certificates.listener() if route.certificates else {}
        front = stack.enter_context(Spillway(backend, guard={"mode": route.mode}, listener=listener,
                                             binary=route.binary, env=route.env))
        if route.certificates:  # a second one speaks TLS with the first
            front = stack.enter_context(Spillway(f"rediss://localhost:{front.port}", guard={"mode": "off"},
                                                 backend=route.certificates.backend()))
        return front.endpoint

    def run(self, case, endpoint, split="whole", timeout=10.0):
        """The transcript of a case whose clients connect to `endpoint`, from a clean server."""
        self.clear(timeout)
        own = {row["id"] for row in self.redis.clients()}
        dialogue = Dialogue(case, self.redis, endpoint, split, timeout)
        try:
            transcript = dialogue.run()
        except TimeoutError:
            heard = b"".join(map(dialogue.comparable, dialogue.heard.values()))
            return {"hangs": (heard, f"in {dialogue.step}"[:300])}
        if not case.ruins:
            until(f"the clients of {case.name} gone from the server",
                  lambda: {row["id"] for row in self.redis.clients()} <= own, timeout)
        return transcript

    def clear(self, timeout):
        for line in ("CONFIG SET maxmemory 4gb maxclients 500 client-query-buffer-limit 1gb "
                     "notify-keyspace-events '' client-output-buffer-limit 'pubsub 32mb 8mb 60'",
                     "FLUSHALL", "SCRIPT FLUSH", "FUNCTION FLUSH", "ACL DELUSER alice",
                     "CONFIG RESETSTAT", "SLOWLOG RESET"):
            self.redis.command(*shlex.split(line))
        until("no replica", lambda: self.redis.info("replication")["connected_slaves"] == "0", timeout)


class Route(NamedTuple):
    """A way through Spillway: guard mode, how requests are cut, whether replies arrive chopped."""
    mode: str = "protect"
    split: str = "whole"
    chopped: bool = False
    binary: list = None
    env: dict = None
    certificates: object = None  # TLS on the way, to clients and to the backend


def difference(direct, proxied):
    """The first difference between two transcripts in words, or None."""
    for who in {**direct, **proxied}:
        if who not in direct or who not in proxied:
            return f"{who}: only one side ran: direct {direct} proxied {proxied}"
        (wanted, wanted_end), (got, got_end) = direct[who], proxied[who]
        if wanted != got:
            at = next((i for i, (x, y) in enumerate(zip(wanted, got)) if x != y),
                      min(len(wanted), len(got)))
            start = max(0, at - 60)
            return (f"{who}: {len(wanted)} bytes direct, {len(got)} proxied, differ at {at}\n"
                    f"  direct:  …{wanted[start:at + 120]!r}\n  proxied: …{got[start:at + 120]!r}")
        if wanted_end != got_end:
            return f"{who}: ended by {wanted_end} direct, by {got_end} proxied"
    return None
