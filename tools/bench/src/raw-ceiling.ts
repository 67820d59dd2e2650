import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { connectMongo } from '@tidemark/mongo';
import type { Collection } from 'mongodb';

// The raw ceiling, run as a process of its own: node raw-ceiling.js URI FILE. Sends its seconds to its parent.

const BATCH = 1_000;

const [uri = '', path = ''] = process.argv.slice(2);
const client = await connectMongo(uri, { appName: 'tidemark-bench' });
try {
  const collection = client.db('raw').collection('employees');
  await insertAll(collection); // warms the process and the database up
  await collection.drop();
  const insert = await seconds(() => insertAll(collection));
  const scan = await seconds(() => scanAll(collection));
  process.send?.({ insert, scan });
  await collection.drop();
} finally {
  await client.close();
  process.disconnect();
}

/** Parses the lines and inserts them, 1,000 at a time. */
async function insertAll(collection: Collection): Promise<void> {
  let batch: object[] = [];
  for await (const line of createInterface({ input: createReadStream(path) })) {
    batch.push(JSON.parse(line) as object);
    if (batch.length < BATCH) continue;
    await collection.insertMany(batch);
    batch = [];
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
