import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { deriveKey, type Keyring } from '@tidemark/model';
import type { SealedSecret, SealedSecrets } from '@tidemark/runtime';
import { Binary } from 'mongodb';
import type { ControlDatabase } from './mongo-collections.js';
import { CREDENTIALS } from './source-targets.js';

const API_KEY_HASHES = 'api-key-hashes';
const HASH_KEY = 'api-key-hash-key';
const HASH_KEY_BYTES = 32;
const BATCH = 100;

/** The sealed secrets of the control database. */
export class MongoSealedSecrets implements SealedSecrets {
  constructor(private readonly db: ControlDatabase) {}

  async *all(): AsyncGenerator<SealedSecret> {
    const hashKey = await this.db.settings.findOne({ _id: HASH_KEY });
    if (hashKey !== null) yield this.hashKey(hashKey.sealed);
    const projection = { tenant: 1, sealedCredentials: 1 } as const;
    const found = this.db.connections
      .find({ sealedCredentials: { $exists: true } }, { projection, batchSize: BATCH })
      .sort({ _id: 1 });
    for await (const { _id, tenant, sealedCredentials } of found)
      if (sealedCredentials !== undefined) yield this.credentials(_id, tenant, sealedCredentials);
  }

  /**
   * The key that API keys are hashed with: made once, shared by all instances on the database, and sealed, so that hashes
   * stay good when the master key changes. Throws KEY_UNAVAILABLE.
   */
  async apiKeyHashKey(keyring: Keyring, masterKey: Uint8Array): Promise<KeyObject> {
    const sealed =
      (await this.db.settings.findOne({ _id: HASH_KEY }))?.sealed ?? (await this.make(keyring, masterKey));
    return createSecretKey(keyring.open(sealed.buffer, API_KEY_HASHES, HASH_KEY));
  }

  private async make(keyring: Keyring, masterKey: Uint8Array): Promise<Binary> {
    // Hashes that are there already were made with a key derived from the master key.
    const isFirst = (await this.db.apiKeys.findOne()) === null;
    const key = isFirst ? randomBytes(HASH_KEY_BYTES) : deriveKey(masterKey, 'api-keys').export();
    const setting = await this.db.settings.findOneAndUpdate(
      { _id: HASH_KEY },
      { $setOnInsert: { sealed: new Binary(keyring.seal(key, API_KEY_HASHES, HASH_KEY)) } },
      { upsert: true, returnDocument: 'after' },
    );
    if (setting === null) throw new Error('an upsert gave no document');
    return setting.sealed;
  }

  private hashKey(before: Binary): SealedSecret {
    return {
      purpose: API_KEY_HASHES,
      owner: HASH_KEY,
      sealed: before.buffer,
      replace: async (sealed) => {
        const filter = { _id: HASH_KEY, sealed: before };
        const result = await this.db.settings.updateOne(filter, { $set: { sealed: new Binary(sealed) } });
        return result.matchedCount === 1;
      },
    };
  }

  private credentials(_id: string, tenant: string, before: Binary): SealedSecret {
    return {
      purpose: CREDENTIALS,
      owner: _id,
      sealed: before.buffer,
      replace: async (sealed) => {
        const result = await this.db.connections.updateOne(
          { _id, tenant, sealedCredentials: before },
          // Whoever read the connection before reads it again, and puts nothing old back.
          { $set: { sealedCredentials: new Binary(sealed) }, $inc: { revision: 1 } },
        );
        return result.matchedCount === 1;
      },
    };
  }
}
