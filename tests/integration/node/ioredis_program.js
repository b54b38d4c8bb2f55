// An ioredis application: prints one JSON line a result, the same whatever stands before Redis.
const Redis = require('ioredis');

const say = (what, value) => console.log(JSON.stringify([what, value]));
const fault = (error) => `${error.name}: ${error.message}`;

async function main() {
  const options = { port: Number(process.argv[2]), host: '127.0.0.1', retryStrategy: null };
  const client = new Redis(options);
  const other = new Redis(options);

  const pipeline = client.pipeline();
  for (let i = 0; i < 2000; i++) pipeline.set(`k:${i}`, `value ${i}`).get(`k:${i}`).incr('n');
  const results = await pipeline.exec();
  say('pipeline', [results.length, results.slice(-3), results.filter(([error]) => error).length]);
  const many = await Promise.all([...Array(3000).keys()].map((i) => client.get(`k:${i % 2000}`)));
  say('automatic pipelining', [many.length, many[2999]]);

  say('multi', await client.multi().set('a', 1).incr('a').lpush('l', 'x', 'y').exec());
  say('multi with an error', (await client.multi().set('a', 1).lpush('a', 1).exec()).map(String));
  say('poisoned multi', await client.multi().call('nosuch').exec().catch(fault));
  await client.watch('a');
  await other.set('a', 'changed');
  say('watch', await client.multi().set('a', 2).exec());

  const subscriber = new Redis(options);
  const heard = [];
  const enough = new Promise((done) => {
    const hear = (...message) => { heard.push(message); if (heard.length === 200) done(); };
    subscriber.on('message', hear);
    subscriber.on('pmessage', hear);
  });
  say('subscribe', [await subscriber.subscribe('one', 'two'), await subscriber.psubscribe('o*')]);
  for (let i = 0; i < 100; i++) await client.publish('one', `message ${i}`);
  await enough;
  say('messages', [heard.length, heard[0], heard[199]]);
  say('unsubscribe', [await subscriber.unsubscribe('two', 'one'), await subscriber.punsubscribe('o*')]);
  say('after unsubscribe', await subscriber.get('k:1'));

  const popped = other.blpop('queue', 5);
  await client.rpush('queue', 'job');
  say('blocking pop', await popped);
  say('blocking pop in vain', await other.blpop('queue', 0.02));

  client.defineCommand('double', { numberOfKeys: 1, lua: 'return redis.call("get", KEYS[1]) .. ARGV[1]' });
  say('script', [await client.double('k:1', '!'), await client.double('k:2', '?')]);
  say('script error', await client.eval('return redis.call("lpush", KEYS[1], 1)', 1, 'k:1')
    .catch((error) => error.name));

  const binary = Buffer.from([...Array(256).keys()].concat([13, 10, 42, 13, 10]));
  await client.set('binary', binary);
  say('binary', binary.equals(await client.getBuffer('binary')));
  await client.set('large', 'x'.repeat(5000000));
  say('large', (await client.get('large')).length);
  let keys = 0;
  for await (const batch of client.scanStream({ match: 'k:*', count: 100 })) keys += batch.length;
  say('scan', keys);
  await client.hset('h', { a: 1, b: 2 });
  say('hash', await client.hgetall('h'));
  await client.xadd('stream', '1-1', 'field', 'value');
  say('stream', await client.xread('COUNT', 2, 'STREAMS', 'stream', 0));
  await client.select(3);
  say('select', [await client.get('k:1'), await client.dbsize()]);
  say('quit', await Promise.all([client.quit(), other.quit(), subscriber.quit()]));
}

main().catch((error) => { console.error(error); process.exit(1); });
