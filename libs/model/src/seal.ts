import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { TidemarkError } from './errors.js';

const FORMAT = Buffer.of(1);
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A key of its own for each purpose, so that no two uses of the master key ever meet (HKDF-SHA-256, RFC 5869). */
export function deriveKey(masterKey: Uint8Array, purpose: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', masterKey, '', `tidemark/${purpose}`, KEY_BYTES)));
}

/** AES-256-GCM: the header, nonce, tag, ciphertext. `bound` is authenticated, not stored. */
export function encrypt(key: KeyObject, header: Uint8Array, plain: Uint8Array, bound: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(bound);
  const ciphertext = cipher.update(plain);
  // In this mode nothing is left for it to give.
  cipher.final();
  return Buffer.concat([header, nonce, cipher.getAuthTag(), ciphertext]);
}

/** The plain bytes of what follows the header in what `encrypt` made. Throws INTERNAL for what is not exactly that. */
export function decrypt(key: KeyObject, encrypted: Buffer, bound: Uint8Array): Buffer {
  const nonce = encrypted.subarray(0, NONCE_BYTES);
  const tag = encrypted.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
      .setAAD(bound)
      .setAuthTag(tag);
    const plain = decipher.update(encrypted.subarray(NONCE_BYTES + TAG_BYTES));
    decipher.final();
    return plain;
  } catch (cause) {
    throw brokenSeal(cause);
  }
}

/** INTERNAL, for sealed bytes that are not what they were when they were sealed. */
export function brokenSeal(cause: unknown): TidemarkError {
  const message = 'sealed data cannot be opened: it was changed, or belongs to another key or owner';
  return new TidemarkError('INTERNAL', message, { cause });
}

/** Seals with one key, by AES-256-GCM: format byte, nonce, tag, ciphertext. `owner` is authenticated, not stored. */
export class Sealer {
  constructor(private readonly key: KeyObject) {}

  seal(plain: Uint8Array, owner: string): Uint8Array {
    return encrypt(this.key, FORMAT, plain, Buffer.from(owner));
  }

  /** Throws INTERNAL for what another key or owner sealed, or what was changed since. */
  open(sealed: Uint8Array, owner: string): Uint8Array {
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
    if (bytes[0] !== FORMAT[0]) throw brokenSeal(new Error('unknown format of sealed bytes'));
    return decrypt(this.key, bytes.subarray(FORMAT.length), Buffer.from(owner));
  }
}
