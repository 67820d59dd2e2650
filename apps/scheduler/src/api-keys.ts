import type { KeyObject } from 'node:crypto';
import { hashApiKey, parseApiKey, verifyApiKey, type StoredApiKey } from '@tidemark/model';

/** Where API keys are kept. */
export interface ApiKeys {
  find(id: string): Promise<StoredApiKey | undefined>;
  /** Stores a key, or another secret, tenant or roles of it; it stays revoked if it was. */
  put(key: StoredApiKey): Promise<void>;
}

const BOOTSTRAP_TENANT = 'default';

/** Tells whom API keys belong to. */
export class Identity {
  constructor(
    private readonly keys: ApiKeys,
    private readonly hashKey: KeyObject,
  ) {}

  /** Throws CREDENTIAL_INVALID. */
  async authenticate(text: string, now: Date): Promise<StoredApiKey> {
    const presented = parseApiKey(text);
    return verifyApiKey(presented, await this.keys.find(presented.id), this.hashKey, now);
  }

  /** Makes the operator's own key exist: tenant `default`, role admin. */
  async bootstrap(text: string): Promise<void> {
    const key = parseApiKey(text);
    await this.keys.put({
      id: key.id,
      tenantId: BOOTSTRAP_TENANT,
      roles: ['ADMIN'],
      hash: hashApiKey(key, this.hashKey),
    });
  }
}
