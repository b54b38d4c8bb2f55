<?php
// A phpredis application: prints one line a result, the same whatever stands before Redis.
function say($what, $value) {
    echo json_encode([$what, $value], JSON_PARTIAL_OUTPUT_ON_ERROR), "\n";
}

$port = (int)$argv[1];
$client = new Redis();
$client->connect('127.0.0.1', $port, 5.0);
if (($argv[2] ?? '') === 'publish') {  // the second process of the messages below
    while ($client->pubsub('numsub', ['one'])['one'] < 1) {
        usleep(1000);
    }
    foreach (['a', 'b', 'c'] as $message) {
        $client->publish('one', $message);
    }
    exit;
}
$other = new Redis();
$other->connect('127.0.0.1', $port, 5.0);

$pipe = $client->pipeline();
for ($i = 0; $i < 3000; $i++) {
    $pipe->set("k:$i", "value $i")->get("k:$i")->incr('n');
}
$replies = $pipe->exec();
say('pipeline', [count($replies), array_slice($replies, -3)]);
say('multi', $client->multi()->set('a', 1)->incr('a')->lPush('l', 'x', 'y')->exec());
say('multi with an error', $client->multi()->set('a', 1)->lPush('a', 1)->get('a')->exec());
say('its error', $client->getLastError());
$client->clearLastError();
$client->watch('a');
$other->set('a', 'changed');
say('watch', $client->multi()->set('a', 2)->exec());
say('unknown command', [$client->rawCommand('nosuch', 'x'), $client->getLastError()]);
$client->clearLastError();

$listener = new Redis();
$listener->connect('127.0.0.1', $port, 5.0);
$listener->setOption(Redis::OPT_READ_TIMEOUT, 5);
$heard = [];
$publisher = popen(escapeshellarg(PHP_BINARY) . ' ' . escapeshellarg(__FILE__) . " $port publish", 'r');
try {
    $listener->subscribe(['one', 'two'], function ($redis, $channel, $message) use (&$heard) {
        $heard[] = [$channel, $message];
        if (count($heard) === 3) {
            $redis->close();
        }
    });
} catch (RedisException $error) {
    $heard[] = $error->getMessage();
}
pclose($publisher);
say('messages', $heard);

$other->rPush('queue', 'job');
say('blocking pop', $client->blPop(['queue'], 5));
say('blocking pop in vain', $client->blPop(['queue'], 1));
say('script', $client->eval('return {KEYS[1], ARGV[1], {1, 2}, false}', ['a', 'b'], 1));
say('script error', $client->eval('return redis.call("lpush", KEYS[1], 1)', ['a'], 1));
$client->clearLastError();
$binary = implode('', array_map('chr', range(0, 255))) . "\r\n*1\r\n";
$client->set('binary', $binary);
say('binary', $client->get('binary') === $binary);
$client->set('large', str_repeat('x', 5000000));
say('large', strlen($client->get('large')));
$found = 0;
$cursor = null;
$client->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
while (($keys = $client->scan($cursor, 'k:*', 100)) !== false) {
    $found += count($keys);
}
say('scan', $found);
$client->hMSet('h', ['a' => 1, 'b' => 2]);
say('hash', $client->hGetAll('h'));
$client->xAdd('stream', '1-1', ['field' => 'value']);
say('stream', $client->xRange('stream', '-', '+'));
say('object', [$client->object('encoding', 'h'), $client->type('stream'), $client->dbSize()]);
$client->select(1);
say('other database', $client->get('k:1'));
say('wrong type', [$other->lPush('h', 1), $other->getLastError()]);
say('close', $client->close());
