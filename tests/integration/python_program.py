# A redis-py application: prints one JSON line a result, the same whatever stands before Redis.
import json
import sys
import threading

import redis


def say(what, value):
    print(json.dumps([what, repr(value)]), flush=True)


def fault(call, *args):
    try:
        return call(*args)
    except redis.RedisError as error:
        return f"{type(error).__name__}: {error}"


def pipelines(client):
    pipe = client.pipeline(transaction=False)
    for i in range(5000):
        pipe.set(f"k:{i}", f"value {i}").get(f"k:{i}").incr("n")
    replies = pipe.execute()
    say("pipeline", [len(replies), replies[-3:]])
    pipe = client.pipeline(transaction=True)
    pipe.set("a", 1).incr("a").lpush("l", "x", "y").hset("h", mapping={"f": 1}).hgetall("h")
    say("multi", pipe.execute())
    pipe = client.pipeline()
    pipe.set("a", 1).lpush("a", 1).get("a")
    say("multi with an error", [str(reply) for reply in pipe.execute(raise_on_error=False)])
    pipe = client.pipeline()
    pipe.execute_command("nosuch")
    say("poisoned multi", fault(pipe.execute))


def watch(client):
    with client.pipeline() as pipe:
        pipe.watch("a")
        client.set("a", "changed")
        pipe.multi()
        pipe.set("a", 2)
        say("watch", fault(pipe.execute))
    say("transaction", client.transaction(lambda pipe: pipe.multi() or pipe.incr("counter"), "counter"))


def messages(client):
    listener = client.pubsub()
    listener.subscribe("one", "two")
    listener.psubscribe("o*")
    say("subscribe", [listener.get_message(timeout=5) for _ in range(3)])
    for i in range(200):
        client.publish("one", f"message {i}")
    heard = [listener.get_message(timeout=5) for _ in range(400)]
    say("messages", [len(heard), heard[0], heard[1], heard[399]])
    listener.ping("alive")
    say("ping", listener.get_message(timeout=5))
    listener.unsubscribe()
    say("unsubscribe", sorted(str(listener.get_message(timeout=5)) for _ in range(2)))
    listener.close()


def blocking(client):
    popped = []
    waiter = threading.Thread(target=lambda: popped.append(client.blpop(["queue", "other"], timeout=5)))
    waiter.start()
    client.rpush("queue", "job")
    waiter.join()
    say("blocking pop", popped)
    say("blocking pop in vain", client.execute_command("BLPOP", "queue", 0.02))
    client.xgroup_create("stream", "group", mkstream=True)
    client.xadd("stream", {"field": "value"}, id="1-1")
    say("stream", client.xreadgroup("group", "me", {"stream": ">"}, block=1000))
    say("ack", client.xack("stream", "group", "1-1"))


def scripts(client):
    double = client.register_script("return redis.call('get', KEYS[1]) .. ARGV[1]")
    say("script", [double(keys=["k:1"], args=["!"]), double(keys=["k:2"], args=["?"])])
    say("script in a pipeline", client.pipeline().set("x", 1).eval("return {1, {2, false}}", 0).execute())
    say("script error", fault(client.eval, "return redis.error_reply('MY error')", 0))
    say("lock", [client.lock("lock", timeout=5).acquire(), client.exists("lock")])


def values(client):
    binary = bytes(range(256)) + b"\r\n*1\r\n"
    client.set("binary", binary)
    say("binary", client.get("binary") == binary)
    client.set("large", b"x" * 20_000_000)
    say("large", len(client.get("large")))
    say("scan", len(set(client.scan_iter("k:*", count=100))))
    say("types", [client.zadd("z", {"a": 1.5}), client.zrange("z", 0, -1, withscores=True), client.get("none"),
                  client.geoadd("g", (1, 2, "m")), client.sort("l", alpha=True), client.type("z")])
    say("error", fault(client.incr, "binary"))


def main():
    client = redis.Redis(host="127.0.0.1", port=int(sys.argv[1]))
    for part in (pipelines, watch, messages, blocking, scripts, values):
        part(client)
    say("other database", redis.Redis(host="127.0.0.1", port=int(sys.argv[1]), db=3, client_name="me").dbsize())


main()
