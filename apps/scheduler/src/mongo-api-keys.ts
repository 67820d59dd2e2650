import type { StoredApiKey } from '@tidemark/model';
import { Binary } from 'mongodb';
import type { ApiKeys } from './api-keys.js';
import type { ControlDatabase } from './mongo-collections.js';

/** API keys in the control database. */
export class MongoApiKeys implements ApiKeys {
  constructor(private readonly db: ControlDatabase) {}

  async find(id: string): Promise<StoredApiKey | undefined> {
    const document = await this.db.apiKeys.findOne({ _id: id });
    if (document === null) return undefined;
    const { tenant, hash, roles, expireTime, revokeTime } = document;
    return {
      id,
      tenantId: tenant,
      roles,
      hash: hash.buffer,
      ...(expireTime === undefined ? {} : { expireTime }),
      ...(revokeTime === undefined ? {} : { revokeTime }),
    };
  }

  async put(key: StoredApiKey): Promise<void> {
    const { id, tenantId, roles, hash } = key;
    await this.db.apiKeys.updateOne(
      { _id: id },
      { $set: { tenant: tenantId, roles, hash: new Binary(hash) }, $setOnInsert: { createTime: new Date() } },
      { upsert: true },
    );
  }
}
