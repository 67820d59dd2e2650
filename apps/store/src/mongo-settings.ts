import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { TidemarkError } from '@tidemark/model';
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

/** The form of what is stored; another one with each change that older data does not fit. */
const FORMAT = Buffer.from('packs-1');

/** Throws CONFIG_INVALID for a database that another version of the store filled. */
export async function requireFormat(db: StoreDatabase): Promise<void> {
  const setting = await db.settings.findOneAndUpdate(
    { _id: 'format' },
    { $setOnInsert: { value: new Binary(FORMAT) } },
    { upsert: true, returnDocument: 'before' },
  );
  const found = setting === null ? undefined : Buffer.from(setting.value.buffer);
  if (found === undefined ? (await db.clocks.findOne()) === null : found.equals(FORMAT)) return;
  if (found === undefined) await db.settings.deleteOne({ _id: 'format' });
  const message =
    'the records database was filled by another version of the store; give it an empty one, and sync again';
  throw new TidemarkError('CONFIG_INVALID', message);
}
