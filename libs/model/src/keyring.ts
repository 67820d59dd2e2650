import { createHmac, hkdfSync, type KeyObject } from 'node:crypto';
import { isTidemarkError, TidemarkError } from './errors.js';
import { brokenSeal, decrypt, deriveKey, encrypt, Sealer } from './seal.js';

const KEY_BYTES = 32;
const FORMAT = 2;
/** What a Sealer makes: without the key's id. Keyrings open it, for that is how master keys were used before them. */
const FORMAT_WITHOUT_ID = 1;
const ID_BYTES = 8;
const HEADER_BYTES = 1 + ID_BYTES;

/** Master keys: the current one seals, the current one and the previous ones open. */
export class Keyring {
  readonly #current: MasterKey;
  readonly #byId: ReadonlyMap<string, MasterKey>;

  /** Each key has 32 bytes. Throws CONFIG_INVALID. */
  constructor(current: Uint8Array, previous: readonly Uint8Array[] = []) {
    this.#current = new MasterKey(current);
    const keys = [...previous.map((bytes) => new MasterKey(bytes)), this.#current];
    this.#byId = new Map(keys.map((key) => [key.id.toString('hex'), key]));
  }

  /**
   * Seals under the current key: format byte, the key's id, nonce, tag, ciphertext. `purpose` is one of a few fixed words, each
   * with a key of its own; `owner` is authenticated, not stored.
   */
  seal(plain: Uint8Array, purpose: string, owner: string): Uint8Array {
    const header = Buffer.concat([Buffer.of(FORMAT), this.#current.id]);
    return encrypt(this.#current.derived(purpose), header, plain, bound(header, owner));
  }

  /**
   * Throws KEY_UNAVAILABLE for what was sealed under a key that is not here, INTERNAL for what is another purpose's or owner's,
   * or was changed since.
   */
  open(sealed: Uint8Array, purpose: string, owner: string): Uint8Array {
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
    if (bytes[0] === FORMAT_WITHOUT_ID) return this.#openByTrial(bytes, purpose, owner);
    if (bytes[0] !== FORMAT || bytes.length < HEADER_BYTES)
      throw brokenSeal(new Error('unknown format of sealed bytes'));
    const key = this.#byId.get(bytes.toString('hex', 1, HEADER_BYTES));
    if (key === undefined) throw unavailable();
    const header = bytes.subarray(0, HEADER_BYTES);
    return decrypt(key.derived(purpose), bytes.subarray(HEADER_BYTES), bound(header, owner));
  }

  /** Whether it is under the current key already, and need not be sealed again. Says nothing of whether it opens. */
  isCurrent(sealed: Uint8Array): boolean {
    return sealed[0] === FORMAT && this.#current.id.equals(sealed.subarray(1, HEADER_BYTES));
  }

  /** Names secret bytes without telling them: HMAC-SHA-256 under the current key's own for the purpose. Another master key, another name. */
  keyedHash(secret: Uint8Array, purpose: string): Uint8Array {
    return createHmac('sha256', this.#current.derived(purpose)).update(secret).digest();
  }

  /** Nothing tells a changed byte from a missing key here; the latter is what happens, and what can be mended. */
  #openByTrial(bytes: Buffer, purpose: string, owner: string): Uint8Array {
    for (const key of this.#byId.values()) {
      try {
        return new Sealer(key.derived(purpose)).open(bytes, owner);
      } catch (error) {
        if (!isTidemarkError(error, 'INTERNAL')) throw error;
      }
    }
    throw unavailable();
  }
}

class MasterKey {
  readonly id: Buffer;
  readonly #bytes: Uint8Array;
  readonly #derived = new Map<string, KeyObject>();

  constructor(bytes: Uint8Array) {
    if (bytes.byteLength !== KEY_BYTES)
      throw new TidemarkError('CONFIG_INVALID', `a master key has ${KEY_BYTES} bytes, written in base64`);
    this.#bytes = Buffer.from(bytes);
    // No purpose's key begins with it: those are derived as "tidemark/…".
    this.id = Buffer.from(hkdfSync('sha256', bytes, '', 'tidemark key-id', ID_BYTES));
  }

  derived(purpose: string): KeyObject {
    const known = this.#derived.get(purpose);
    if (known !== undefined) return known;
    const key = deriveKey(this.#bytes, purpose);
    this.#derived.set(purpose, key);
    return key;
  }
}

function bound(header: Uint8Array, owner: string): Buffer {
  return Buffer.concat([header, Buffer.from(owner)]);
}

function unavailable(): TidemarkError {
  const message =
    'what is stored was sealed under a master key that is not configured; ' +
    'give it as TIDEMARK_MASTER_KEY, or among TIDEMARK_PREVIOUS_MASTER_KEYS';
  return new TidemarkError('KEY_UNAVAILABLE', message);
}
