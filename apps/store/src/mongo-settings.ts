import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { Binary } from 'mongodb';
import type { StoreDatabase } from './mongo-collections.js';

/** The key that signs cursors: made once, shared by all instances on the database. */
export async function cursorKey(db: StoreDatabase): Promise<KeyObject> {
  const setting = await db.settings.findOneAndUpdate(
    { _id: 'cursor-key' },
    { $setOnInsert: { value: new Binary(randomBytes(32)) } },
    { upsert: true, returnDocument: 'after' },
  );
  if (setting === null) throw new Error('an upsert gave no document');
  return createSecretKey(setting.value.buffer);
}
