import { Binary, type Collection, type Document } from 'mongodb';
import type { StoreDatabase } from './mongo-collections.js';

const BATCH = 2_000;

/**
 * Removes a batch of a connection's data; call again until `done`. Its keys go first: without them its payloads are
 * noise, wherever copies of them lie. A connection unknown is done.
 */
export async function removeConnection(
  db: StoreDatabase,
  tenant: string,
  name: string,
): Promise<{ done: boolean; removedRecords: number }> {
  const noKeys = { identityKey: new Binary(new Uint8Array(0)), payloadKeys: [] };
  const connection = await db.connections.findOneAndUpdate(
    { tenant, name },
    { $set: { removing: true, ...noKeys } },
  );
  if (connection === null) return { done: true, removedRecords: 0 };
  const c = connection._id;
  // Runs first: without them no writer gets past its fence.
  await db.runs.deleteMany({ c });
  const removedRecords = await removeBatch(db.records, c);
  const rest = [
    await removeBatch(db.versions, c),
    await removeBatch(db.commits, c),
    await removeBatch(db.packs, c),
  ];
  if (removedRecords + Math.max(...rest) > 0) return { done: false, removedRecords };
  for (const collection of [db.seen, db.models, db.quarantine, db.receipts])
    await collection.deleteMany({ c });
  await db.clocks.deleteOne({ _id: c });
  await db.connections.deleteOne({ _id: c });
  return { done: true, removedRecords };
}

async function removeBatch<T extends Document>(collection: Collection<T>, c: string): Promise<number> {
  const untyped = collection as unknown as Collection<Document>;
  const found = await untyped
    .find({ c }, { projection: { _id: 1 } })
    .limit(BATCH)
    .toArray();
  if (found.length > 0) await untyped.deleteMany({ _id: { $in: found.map(({ _id }) => _id) } });
  return found.length;
}
