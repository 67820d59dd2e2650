import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';
import { TidemarkError } from './errors.js';

/** What a key may do; each includes those before it. */
export type RoleName = 'READ' | 'SYNC' | 'ADMIN';

/** The two parts of `tm_<id>_<secret>`. */
export interface ApiKey {
  /** No secret: 1 to 64 characters of [A-Za-z0-9-]. */
  readonly id: string;
  readonly secret: string;
}

/** How a key is stored: never the key, only a keyed hash of it. */
export interface StoredApiKey {
  readonly id: string;
  readonly tenantId: string;
  readonly roles: readonly RoleName[];
  readonly hash: Uint8Array;
  readonly expireTime?: Date;
  readonly revokeTime?: Date;
}

const FORMAT = /^tm_([A-Za-z0-9-]{1,64})_([A-Za-z0-9_-]{1,256})$/;

/** The parts of an API key. Throws CREDENTIAL_INVALID. */
export function parseApiKey(text: string): ApiKey {
  const match = FORMAT.exec(text);
  if (match === null) throw invalidApiKey();
  return { id: match[1] ?? '', secret: match[2] ?? '' };
}

/** HMAC-SHA-256 of a key's id and secret. */
export function hashApiKey({ id, secret }: ApiKey, key: KeyObject): Buffer {
  return createHmac('sha256', key).update(`${id}_${secret}`).digest();
}

/**
 * Throws CREDENTIAL_INVALID unless the key is the stored one and still good. Unknown, wrong, revoked and expired keys
 * look the same and take the same time.
 */
export function verifyApiKey(
  presented: ApiKey,
  stored: StoredApiKey | undefined,
  key: KeyObject,
  now: Date,
): StoredApiKey {
  const hash = hashApiKey(presented, key);
  const expected =
    stored === undefined || stored.hash.byteLength !== hash.byteLength
      ? Buffer.alloc(hash.byteLength)
      : stored.hash;
  const genuine = timingSafeEqual(hash, expected);
  if (stored === undefined || !genuine || stored.revokeTime !== undefined) throw invalidApiKey();
  if (stored.expireTime !== undefined && stored.expireTime <= now) throw invalidApiKey();
  return stored;
}

function invalidApiKey(): TidemarkError {
  return new TidemarkError('CREDENTIAL_INVALID', 'the API key is malformed, unknown, revoked or expired');
}
