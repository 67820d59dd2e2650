import { Binary } from 'mongodb';
import type { KeyCabinet } from './connection-keys.js';
import type { ConnectionDocument, StoreDatabase } from './mongo-collections.js';

/**
 * Seals the keys of all connections under the current master key where a previous one did; returns how many. Any number of
 * processes may do it at a time. Throws KEY_UNAVAILABLE for one that no master key here opens.
 */
export async function resealConnectionKeys(db: StoreDatabase, cabinet: KeyCabinet): Promise<number> {
  let count = 0;
  for await (const connection of db.connections.find({ removing: { $exists: false } })) {
    const { _id, identityKey, payloadKeys } = connection;
    const $set = resealed(connection, cabinet);
    if ($set === undefined) continue;
    const { modifiedCount } = await db.connections.updateOne({ _id, identityKey, payloadKeys }, { $set });
    count += modifiedCount;
  }
  return count;
}

function resealed(
  { _id, identityKey, payloadKeys }: ConnectionDocument,
  cabinet: KeyCabinet,
): Pick<ConnectionDocument, 'identityKey' | 'payloadKeys'> | undefined {
  let changed = false;
  const reseal = (key: Binary): Binary => {
    const fresh = cabinet.reseal(key.buffer, _id);
    if (fresh === undefined) return key;
    changed = true;
    return new Binary(fresh);
  };
  const sealed = {
    identityKey: reseal(identityKey),
    payloadKeys: payloadKeys.map(({ e, key }) => ({ e, key: reseal(key) })),
  };
  return changed ? sealed : undefined;
}
