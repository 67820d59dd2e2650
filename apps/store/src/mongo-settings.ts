import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { TidemarkError, type Keyring } from '@tidemark/model';
import { Binary } from 'mongodb';
import type { StoreDatabase } from './mongo-collections.js';

/** The setting that is the key of cursors, sealed; its purpose and owner as well. */
export const CURSOR_KEY = 'cursor-key';

const CURSOR_KEY_BYTES = 32;

/**
 * The key that signs cursors: made once, shared by all instances on the database, and sealed, so that cursors stay good when
 * the master key changes. Throws KEY_UNAVAILABLE.
 */
export async function cursorKey(db: StoreDatabase, keyring: Keyring): Promise<KeyObject> {
  const seal = (key: Uint8Array): Binary => new Binary(keyring.seal(key, CURSOR_KEY, CURSOR_KEY));
  for (;;) {
    const setting = await db.settings.findOneAndUpdate(
      { _id: CURSOR_KEY },
      { $setOnInsert: { value: seal(randomBytes(CURSOR_KEY_BYTES)) } },
      { upsert: true, returnDocument: 'after' },
    );
    if (setting === null) throw new Error('an upsert gave no document');
    const { value } = setting;
    if (value.length() !== CURSOR_KEY_BYTES)
      return createSecretKey(keyring.open(value.buffer, CURSOR_KEY, CURSOR_KEY));
    // Of before it was sealed: as it was read only, for of several instances one seals it.
    await db.settings.updateOne({ _id: CURSOR_KEY, value }, { $set: { value: seal(value.buffer) } });
  }
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
