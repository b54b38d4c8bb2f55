// Prints what ioredis and node-redis make of a refused write, alone, in a pipeline, in a transaction and in a script.
'use strict';

const [port, library] = process.argv.slice(2);
const told = (error) => ({ name: error.constructor.name, code: error.message.split(' ')[0], message: error.message });
const attempt = async (name, action) => {
  try {
    console.log(JSON.stringify([name, 'no error', await action()]));
  } catch (error) {
    const inner = error.replies ? error.replies.find((reply) => reply instanceof Error) : undefined;
    console.log(JSON.stringify([name, told(inner || error)]));
  }
};
const script = "return redis.call('set', KEYS[1], 'x')";

async function ioredis() {
  const Redis = require('ioredis');
  const client = new Redis({ port: Number(port), retryStrategy: null });
  client.defineCommand('put', { numberOfKeys: 1, lua: script });
  await attempt('set', () => client.set('k', 'v'));
  const [[, first], [error]] = await client.pipeline().get('none').set('k', 'v').exec();
  console.log(JSON.stringify(['pipeline', told(error), first]));
  await attempt('multi', () => client.multi().set('k', 'v').exec());
  await attempt('script', () => client.put('k'));
  console.log(JSON.stringify(['after', await client.ping()]));
  client.disconnect();
}

async function nodeRedis() {
  const { createClient } = require('redis');
  const client = createClient({ socket: { port: Number(port), reconnectStrategy: false } });
  client.on('error', () => {});
  await client.connect();
  await attempt('set', () => client.set('k', 'v'));
  const [first, error] = await Promise.all([client.get('none'), client.set('k', 'v').catch((e) => e)]);
  console.log(JSON.stringify(['pipeline', told(error), first]));
  await attempt('multi', () => client.multi().set('k', 'v').exec());
  await attempt('script', () => client.eval(script, { keys: ['k'] }));
  console.log(JSON.stringify(['after', await client.ping()]));
  client.destroy ? client.destroy() : await client.disconnect();
}

(library === 'ioredis' ? ioredis() : nodeRedis()).catch((error) => {
  console.error(error);
  process.exit(1);
});
