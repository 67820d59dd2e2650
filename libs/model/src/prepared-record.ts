import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { canonicalJson } from './canonical.js';
import { ExactNumber, isJsonObject, type JsonValue } from './json.js';
import { RejectedRecordError } from './rejected-record.js';
import type { ScopeNode } from './scope.js';

/** Bounds of one record: 4 MiB of canonical JSON (bytes of UTF-8), 1024 bytes of id. */
export const MAX_PAYLOAD_BYTES = 4 * 1024 * 1024;
export const MAX_ID_BYTES = 1024;

/** Length of a fingerprint in bytes. */
export const FINGERPRINT_BYTES = 16;

/** What the store needs of one observed record. */
export interface PreparedRecord {
  /** Canonical JSON of the fields in scope. */
  readonly payload: string;
  /** Equal for equal content, 16 bytes. */
  readonly fingerprint: Buffer;
}

/** The key of a connection's fingerprints from its 32 bytes. */
export function fingerprintKey(bytes: Uint8Array): KeyObject {
  return createSecretKey(bytes);
}

/**
 * First 16 bytes of HMAC-SHA-256 of a canonical identity. Keyed, so that nobody who sees it can confirm a guess of
 * the content; 128 bits, so that two contents do not share one by chance.
 */
export function fingerprint(key: KeyObject, identity: string): Buffer {
  return createHmac('sha256', key).update(identity).digest().subarray(0, FINGERPRINT_BYTES);
}

/** Projects a record to its scope, in canonical form, with its fingerprint. Throws RejectedRecordError. */
export function prepareRecord(value: JsonValue, scope: ScopeNode, key: KeyObject): PreparedRecord {
  if (!isJsonObject(value)) throw new RejectedRecordError('MALFORMED', 'a record is a JSON object');
  const { text, identity } = canonicalJson(value, scope);
  if (text.length * 3 > MAX_PAYLOAD_BYTES && Buffer.byteLength(text) > MAX_PAYLOAD_BYTES) {
    throw new RejectedRecordError('TOO_LARGE', `larger than ${MAX_PAYLOAD_BYTES} bytes within the scope`);
  }
  return { payload: text, fingerprint: fingerprint(key, identity) };
}

/**
 * A record's id: the text of its one primary key field, or the canonical JSON array of several. Throws ID_MISSING,
 * TOO_LARGE or ENCODING.
 */
export function recordId(value: JsonValue, primaryKey: readonly string[]): string {
  const [only] = primaryKey;
  const id =
    primaryKey.length === 1 && only !== undefined
      ? keyText(value, only)
      : JSON.stringify(primaryKey.map((field) => keyText(value, field)));
  if (id.length > MAX_ID_BYTES / 3 && Buffer.byteLength(id) > MAX_ID_BYTES) {
    throw new RejectedRecordError('TOO_LARGE', `its id is longer than ${MAX_ID_BYTES} bytes`);
  }
  if (!id.isWellFormed()) throw new RejectedRecordError('ENCODING', 'its id is not valid Unicode');
  return id;
}

function keyText(value: JsonValue, field: string): string {
  const part = isJsonObject(value) && Object.hasOwn(value, field) ? value[field] : undefined;
  if (typeof part === 'string' && part !== '') return part;
  if (typeof part === 'number' || typeof part === 'boolean') return String(part);
  if (part instanceof ExactNumber) return /^-?\d+$/.test(part.digits) ? part.digits : part.normalForm();
  throw new RejectedRecordError(
    'ID_MISSING',
    `primary key field ${JSON.stringify(field)} is missing, empty or no scalar`,
  );
}
