# A redis-rb application: prints one line a result, the same whatever stands before Redis.
require "redis"

$stdout.sync = true

def say(what, value)
  puts "#{what}: #{value.inspect}"
end

def fault
  yield
rescue Redis::BaseError => error
  "#{error.class}: #{error.message}"
end

port = Integer(ARGV.fetch(0))
client = Redis.new(host: "127.0.0.1", port: port, reconnect_attempts: 0)
other = Redis.new(host: "127.0.0.1", port: port, reconnect_attempts: 0)

replies = client.pipelined do |pipe|
  3000.times do |i|
    pipe.set("k:#{i}", "value #{i}")
    pipe.get("k:#{i}")
    pipe.incr("n")
  end
end
say("pipeline", [replies.size, replies.last(3)])
say("multi", client.multi { |multi| multi.set("a", 1); multi.incr("a"); multi.lpush("l", %w[x y]) })
say("multi with an error", fault { client.multi { |multi| multi.set("a", 1); multi.lpush("a", 1); multi.get("a") } })
say("poisoned multi", fault { client.multi { |multi| multi.call("nosuch") } })
watched = client.watch("a") do
  other.set("a", "changed")
  client.multi { |multi| multi.set("a", 2) }
end
say("watch", watched)

heard = []
listener = Thread.new do
  Redis.new(host: "127.0.0.1", port: port).subscribe("one", "two") do |on|
    on.subscribe { |channel, count| heard << [:subscribed, channel, count] }
    on.message { |channel, message| heard << [channel, message] }
  end
end
sleep 0.001 until other.pubsub(:numsub, "one", "two").last.to_i == 1
50.times { |i| other.publish("one", "message #{i}") }
sleep 0.001 until heard.size >= 52
listener.kill
say("messages", [heard.size, heard.first(3), heard.last])

popper = Thread.new { other.blpop("queue", timeout: 5) }
client.rpush("queue", "job")
say("blocking pop", popper.value)
say("blocking pop in vain", other.blpop("queue", timeout: 0.02))
say("script", client.eval("return {KEYS[1], ARGV[1], {1, 2}, false}", keys: ["a"], argv: ["b"]))
say("script error", fault { client.eval("return redis.call('lpush', KEYS[1], 1)", keys: ["a"]) }[0, 40])
binary = (0..255).map(&:chr).join.b + "\r\n*1\r\n".b
client.set("binary", binary)
say("binary", client.get("binary").b == binary)
client.set("large", "x" * 5_000_000)
say("large", client.get("large").size)
say("scan", client.scan_each(match: "k:*", count: 100).to_a.uniq.size)
client.mapped_hmset("h", "a" => 1, "b" => 2)
say("hash", client.hgetall("h"))
client.xadd("stream", { "field" => "value" }, id: "1-1")
say("stream", client.xrange("stream"))
client.select(1)
say("other database", client.get("k:1"))
say("wrong type", fault { other.lpush("h", 1) })
say("quit", client.quit)
