import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { TidemarkError } from '@tidemark/model';

const FORMAT = 1;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** A key of its own for each purpose, so that no two uses of the master key ever meet (HKDF-SHA-256, RFC 5869). */
export function deriveKey(masterKey: Uint8Array, purpose: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', masterKey, '', `tidemark/${purpose}`, 32)));
}

/** Seals secrets with AES-256-GCM: format byte, nonce, tag, ciphertext. `owner` is authenticated, not stored. */
export class Sealer {
  constructor(private readonly key: KeyObject) {}

  seal(plain: Uint8Array, owner: string): Uint8Array {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.key, iv).setAAD(Buffer.from(owner));
    const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
    return Buffer.concat([Buffer.of(FORMAT), iv, cipher.getAuthTag(), sealed]);
  }

  /** Throws INTERNAL for what another key or owner sealed, or what was changed since. */
  open(sealed: Uint8Array, owner: string): Uint8Array {
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
    const ivEnd = 1 + IV_BYTES;
    try {
      if (bytes[0] !== FORMAT) throw new Error('unknown format of sealed bytes');
      const decipher = createDecipheriv('aes-256-gcm', this.key, bytes.subarray(1, ivEnd), {
        authTagLength: TAG_BYTES,
      })
        .setAAD(Buffer.from(owner))
        .setAuthTag(bytes.subarray(ivEnd, ivEnd + TAG_BYTES));
      return Buffer.concat([decipher.update(bytes.subarray(ivEnd + TAG_BYTES)), decipher.final()]);
    } catch (cause) {
      const message = 'stored credentials cannot be opened: was TIDEMARK_MASTER_KEY changed?';
      throw new TidemarkError('INTERNAL', message, { cause });
    }
  }
}
