import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { connectMongo } from '@tidemark/mongo';
import type { Collection } from 'mongodb';
import { Meter } from './meter.js';
import { databaseSize } from './mongo-size.js';

// The raw ceiling, run as a process of its own: node raw-ceiling.js URI FILE RECORDS MONGOD_PID. Sends a RawResult to its parent.

const BATCH = 1_000;
const WARM_UP = 100_000;
const DATABASE = 'raw';

const [uri = '', path = '', records = '0', mongod = '0'] = process.argv.slice(2);
const client = await connectMongo(uri, { appName: 'tidemark-bench' });
try {
  const collection = client.db(DATABASE).collection('employees');
  const meter = new Meter([
    { name: 'driver', pid: process.pid },
    { name: 'mongod', pid: Number(mongod), manyThreads: true },
  ]);
  await insertAll(collection, WARM_UP); // warms the process and the database up
  await collection.drop();
  const insert = await seconds(() =>
    meter.measure('raw insert', Number(records), () => insertAll(collection)),
  );
  const scan = await seconds(() => meter.measure('raw scan', Number(records), () => scanAll(collection)));
  const size = await databaseSize(uri, DATABASE);
  process.send?.({ insert, scan, size, phases: meter.phases });
  await collection.drop();
} finally {
  await client.close();
  process.disconnect();
}

/** Parses the lines and inserts them, 1,000 at a time; of a large file at most so many. */
async function insertAll(collection: Collection, most = Infinity): Promise<void> {
  let inserted = 0;
  let batch: object[] = [];
  for await (const line of createInterface({ input: createReadStream(path) })) {
    batch.push(JSON.parse(line) as object);
    if (batch.length < BATCH) continue;
    await collection.insertMany(batch);
    inserted += batch.length;
    batch = [];
    if (inserted >= most) break;
  }
  if (batch.length > 0) await collection.insertMany(batch);
}

/** Reads every document back, decoded. */
async function scanAll(collection: Collection): Promise<void> {
  let count = 0;
  for await (const document of collection.find()) if (document._id) count++;
  if (count === 0) throw new Error('the raw collection is empty');
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1_000;
}
