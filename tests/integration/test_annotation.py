# An annotated OOM reply is, to real client libraries, the error that it would be without the annotation.
import json
import os
import re
import unittest
from pathlib import Path

import redis

from harness import RedisServer, Spillway
from test_clients import node_modules, run

HERE = Path(__file__).parent
# Since 5.0; before that a refusal is a plain ResponseError.
TYPED = getattr(redis.exceptions, "OutOfMemoryError", redis.exceptions.ResponseError)
TAIL = re.compile(r" \[spillway cause=[a-z-]+ policy=noeviction\]$")


class AnnotationTest(unittest.TestCase):
    """Each client in front of Redis, and of Spillway that annotates: the same but for the tail."""

    def setUp(self):
        self.redis = self.enterContext(RedisServer(maxmemory="16mb"))
        self.spillway = self.enterContext(Spillway(self.redis, guard={"mode": "off"},
                                                   diagnosis={"annotate_replies": True}))
        self.redis.fill(0.5)
        self.redis.command("CONFIG", "SET", "maxmemory", "4mb")
        with redis.Redis(port=self.spillway.port) as client, self.assertRaises(TYPED):
            client.set("first", "x")
        self.spillway.record("oom")

    def both(self, ask):
        """What ask(port) gives for each, the annotations of the second counted and taken off."""
        plain, told = ask(self.redis.port), ask(self.spillway.port)
        stripped, count = {}, 0
        for name, error in told.items():
            count += bool(TAIL.search(error[-1]))
            stripped[name] = (*error[:-1], TAIL.sub("", error[-1]))
        self.assertEqual(plain, stripped)
        return count

    def test_redis_py(self):
        def ask(port):
            errors = {}
            def attempt(name, action):
                try:
                    errors[name] = ("none", str(action()))
                except redis.exceptions.RedisError as error:
                    errors[name] = (type(error).__name__, str(error))
            with redis.Redis(port=port) as client:
                attempt("set", lambda: client.set("k", "v"))
                attempt("script", lambda: client.register_script("return redis.call('set', KEYS[1], 'x')")(keys=["k"]))
                attempt("pcall", lambda: client.eval("return redis.pcall('set', KEYS[1], 'x')", 1, "k"))
                def pipeline():
                    with client.pipeline(transaction=False) as batch:
                        return batch.get("none").set("k", "v").execute()
                attempt("pipeline", pipeline)
                def transaction():
                    with client.pipeline() as batch:
                        return batch.set("k", "v").execute()
                attempt("multi", transaction)
                attempt("after", client.ping)
            return errors
        self.assertGreaterEqual(self.both(ask), 3)
        told = ask(self.spillway.port)
        for name in ("set", "script", "pcall", "pipeline"):
            self.assertEqual(told[name][0], TYPED.__name__, told)
        self.assertEqual(told["after"], ("none", "True"))

    def node(self, library):
        def ask(port):
            output = run(["node", HERE / "node/oom_program.js", port, library],
                         env={**os.environ, "NODE_PATH": str(node_modules())})
            rows = [json.loads(line) for line in output.splitlines()]
            return {row[0]: (row[1]["name"], row[1]["code"], row[1]["message"]) if isinstance(row[1], dict)
                    else tuple(map(str, row[1:])) for row in rows}
        return ask

    def test_ioredis(self):
        ask = self.node("ioredis")
        self.assertGreaterEqual(self.both(ask), 2)
        told = ask(self.spillway.port)
        for name in ("set", "pipeline", "script"):
            self.assertEqual(told[name][:2], ("ReplyError", "OOM"), told)

    def test_node_redis(self):
        ask = self.node("node-redis")
        self.assertGreaterEqual(self.both(ask), 2)
        told = ask(self.spillway.port)
        for name in ("set", "pipeline", "script"):
            self.assertEqual(told[name][1], "OOM", told)


if __name__ == "__main__":
    unittest.main()
