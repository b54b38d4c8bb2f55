// A node-redis application in RESP2 or RESP3: prints one JSON line a result.
const { createClient } = require('redis');

const say = (what, value) => console.log(JSON.stringify([what, value]));

async function main() {
  const options = {
    socket: { host: '127.0.0.1', port: Number(process.argv[2]), reconnectStrategy: false },
    RESP: Number(process.argv[3]),
  };
  const client = await createClient(options).connect();
  const other = await client.duplicate().connect();

  const many = [];
  for (let i = 0; i < 3000; i++) many.push(client.set(`k:${i}`, `value ${i}`), client.get(`k:${i}`));
  const replies = await Promise.all(many);
  say('automatic pipelining', [replies.length, replies.slice(-2)]);

  say('multi', await client.multi().set('a', '1').incr('a').hSet('h', { x: 1, y: 2 }).hGetAll('h').exec());
  say('poisoned multi', await client.multi().addCommand(['nosuch']).exec().catch((error) => error.message));
  await client.watch('a');
  await other.set('a', 'changed');
  say('watch', await client.multi().set('a', '2').exec().catch((error) => error.constructor.name));

  const subscriber = await client.duplicate().connect();
  const heard = [];
  let finish;
  const enough = new Promise((done) => { finish = done; });
  const hear = (message, channel) => { heard.push([channel, message]); if (heard.length === 200) finish(); };
  await subscriber.subscribe('one', hear);
  await subscriber.pSubscribe('o*', hear);
  if (options.RESP === 3) say('get while subscribed', await subscriber.get('k:1'));
  for (let i = 0; i < 100; i++) await client.publish('one', `message ${i}`);
  await enough;
  say('messages', [heard.length, heard[0], heard[199]]);
  await subscriber.unsubscribe('one');
  await subscriber.pUnsubscribe('o*');
  say('after unsubscribe', await subscriber.get('k:1'));

  const popped = other.blPop('queue', 5);
  await client.rPush('queue', 'job');
  say('blocking pop', await popped);
  say('blocking pop in vain', await other.blPop('queue', 0.02));
  say('script', await client.eval('return {KEYS[1], ARGV[1], {1, false}}', { keys: ['k'], arguments: ['v'] }));
  say('script error', await client.eval('return redis.error_reply("MY error")').catch((error) => error.message));

  await client.zAdd('z', [{ score: 1.5, value: 'a' }, { score: Infinity, value: 'b' }]);
  say('types', [await client.hGetAll('h'), (await client.sAdd('s', ['m'])), await client.sMembers('s'),
    String(await client.zScore('z', 'b')), await client.zRangeWithScores('z', 0, 0), await client.get('none'),
    await client.geoPos('none', 'm'), await client.configGet('maxmemory-policy')]);
  await client.set('large', 'x'.repeat(5000000));
  say('large', (await client.get('large')).length);
  let keys = 0;
  for await (const batch of client.scanIterator({ MATCH: 'k:*', COUNT: 100 })) keys += batch.length;
  say('scan', keys);
  await client.select(3);
  say('select', [await client.get('k:1'), await client.dbSize()]);
  await Promise.all([client.close(), other.close(), subscriber.close()]);
  say('closed', true);
}

main().catch((error) => { console.error(error); process.exit(1); });
