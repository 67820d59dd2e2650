import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { MongoClient } from 'mongodb';

const BATCH = 1_000;

/** Parses the lines and inserts them with the plain driver, 1,000 at a time; seconds taken. */
export async function rawInsert(client: MongoClient, path: string): Promise<number> {
  const collection = client.db('raw').collection('employees');
  await collection.drop();
  const started = performance.now();
  let batch: object[] = [];
  for await (const line of createInterface({ input: createReadStream(path) })) {
    batch.push(JSON.parse(line) as object);
    if (batch.length < BATCH) continue;
    await collection.insertMany(batch);
    batch = [];
  }
  if (batch.length > 0) await collection.insertMany(batch);
  return (performance.now() - started) / 1_000;
}

/** Reads every document back, decoded; seconds taken. */
export async function rawScan(client: MongoClient): Promise<number> {
  const started = performance.now();
  let count = 0;
  for await (const document of client.db('raw').collection('employees').find()) if (document._id) count++;
  if (count === 0) throw new Error('the raw collection is empty');
  return (performance.now() - started) / 1_000;
}
