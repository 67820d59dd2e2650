import type { SealedSecret, SealedSecrets } from '@tidemark/runtime';
import { Binary, type UpdateResult } from 'mongodb';
import { CONNECTION_KEY } from './connection-keys.js';
import type { StoreDatabase } from './mongo-collections.js';
import { CURSOR_KEY } from './mongo-settings.js';

const BATCH = 100;

/** The sealed secrets of the records database. Connections that are being removed have none any more. */
export class MongoSealedSecrets implements SealedSecrets {
  constructor(readonly db: StoreDatabase) {}

  /** The key of cursors comes last: a store that is given too few master keys then rather does not start at all. */
  async *all(): AsyncGenerator<SealedSecret> {
    const projection = { identityKey: 1, payloadKeys: 1 } as const;
    const found = this.db.connections
      .find({ removing: { $exists: false } }, { projection, batchSize: BATCH })
      .sort({ _id: 1 });
    for await (const { _id, identityKey, payloadKeys } of found) {
      yield this.#identityKey(_id, identityKey);
      for (const { e, key } of payloadKeys) yield this.#payloadKey(_id, e, key);
    }
    const cursorKey = await this.db.settings.findOne({ _id: CURSOR_KEY });
    if (cursorKey !== null) yield this.#cursorKey(cursorKey.value);
  }

  #identityKey(_id: string, before: Binary): SealedSecret {
    return secret(CONNECTION_KEY, _id, before, (identityKey) =>
      this.db.connections.updateOne({ _id, identityKey: before }, { $set: { identityKey } }),
    );
  }

  #payloadKey(_id: string, e: number, before: Binary): SealedSecret {
    return secret(CONNECTION_KEY, _id, before, (key) =>
      this.db.connections.updateOne(
        { _id, payloadKeys: { $elemMatch: { e, key: before } } },
        { $set: { 'payloadKeys.$.key': key } },
      ),
    );
  }

  #cursorKey(before: Binary): SealedSecret {
    return secret(CURSOR_KEY, CURSOR_KEY, before, (value) =>
      this.db.settings.updateOne({ _id: CURSOR_KEY, value: before }, { $set: { value } }),
    );
  }
}

function secret(
  purpose: string,
  owner: string,
  before: Binary,
  update: (sealed: Binary) => Promise<UpdateResult>,
): SealedSecret {
  const replace = async (sealed: Uint8Array): Promise<boolean> =>
    (await update(new Binary(sealed))).matchedCount === 1;
  return { purpose, owner, sealed: before.buffer, replace };
}
