// Produces and works 10,000 jobs with BullMQ, some of which fail once: prints what must be the same whatever stands before Redis.
const { Queue, QueueEvents, Worker } = require('bullmq');

const JOBS = 10000;
const BATCH = 500;
const FAILING = 100; // one in so many fails at its first attempt
const say = (what, value) => console.log(JSON.stringify([what, value]));

async function main() {
  const connection = { host: '127.0.0.1', port: Number(process.argv[2]) };
  const queue = new Queue('jobs', { connection });
  const events = new QueueEvents('jobs', { connection });
  await events.waitUntilReady();

  const seen = new Map();
  let completed = 0;
  let failedAttempts = 0;
  let sum = 0;
  let finish;
  const all = new Promise((done) => { finish = done; });
  const worker = new Worker('jobs', async (job) => {
    seen.set(job.data.n, (seen.get(job.data.n) || 0) + 1);
    if (job.data.n % FAILING === 0 && job.attemptsMade === 0) throw new Error('at first');
    return job.data.n * 2;
  }, { connection, concurrency: 50 });
  worker.on('completed', (job, result) => { sum += result; if (++completed === JOBS + 1) finish(); });
  worker.on('failed', () => { failedAttempts += 1; });
  worker.on('error', (error) => { console.error(error); process.exit(1); });

  for (let from = 0; from < JOBS; from += BATCH) {
    const batch = [...Array(BATCH).keys()].map((i) => ({
      name: 'job', data: { n: from + i, text: 'x'.repeat(100) }, opts: { attempts: 2 },
    }));
    await queue.addBulk(batch);
  }
  const last = await queue.add('waited for', { n: JOBS + 1 }); // beside the others
  say('waited for', await last.waitUntilFinished(events, 20000));
  await all;

  const runs = [...seen.values()].reduce((total, count) => total + count, 0);
  say('jobs', { different: seen.size, runs, failedAttempts, sum });
  say('counts', await queue.getJobCounts('waiting', 'active', 'completed', 'failed', 'delayed'));
  await worker.close();
  await events.close();
  await queue.close();
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
