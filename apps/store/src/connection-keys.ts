import { createHmac, createSecretKey, hkdfSync, randomBytes, type KeyObject } from 'node:crypto';
import { Sealer, TidemarkError, type Keyring } from '@tidemark/model';
import type { ConnectionDocument } from './mongo-collections.js';

/** Purpose of connections' keys; their owner is the connection's uid. */
export const CONNECTION_KEY = 'connection-key';

const KEY_BYTES = 32;
const INDEX_HASH_BYTES = 8;
const KNOWN_KEYS = 1_000;

/** The keys of one connection, opened. */
export interface ConnectionKeys {
  /** The 32 bytes that connectors make fingerprints with. */
  readonly fingerprintKey: Uint8Array;
  /** Seals and opens packs, by the number of their key; undefined for one that was destroyed. */
  readonly sealers: ReadonlyMap<number, Sealer>;
  /** The number of the key that new packs are sealed under. */
  readonly current: number;
  /** 8 bytes of HMAC-SHA-256 of an index field's path and value. */
  readonly indexHash: (model: string, path: string, value: string) => Buffer;
}

/** Opens the keys of connections, and remembers the newest thousand. Makes new ones. */
export class KeyCabinet {
  readonly #known = new Map<string, { readonly of: string; readonly keys: ConnectionKeys }>();

  constructor(readonly keyring: Keyring) {}

  /** A new key, sealed for its connection. */
  create(uid: string): Uint8Array {
    return this.keyring.seal(randomBytes(KEY_BYTES), CONNECTION_KEY, uid);
  }

  /** A connection's keys. Throws KEY_UNAVAILABLE. */
  open({ _id, identityKey, payloadKeys }: ConnectionDocument): ConnectionKeys {
    // A number is never given again, so it stands for its key, under whichever master key that is sealed now.
    const of = `${_id}:${payloadKeys.map(({ e }) => e).join()}`;
    const known = this.#known.get(_id);
    if (known?.of === of) return known.keys;
    const identity = this.keyring.open(identityKey.buffer, CONNECTION_KEY, _id);
    const sealers = payloadKeys.map(({ e, key }) => {
      const opened = createSecretKey(this.keyring.open(key.buffer, CONNECTION_KEY, _id));
      return [e, new Sealer(opened)] as const;
    });
    const keys = openKeys(identity, new Map(sealers));
    if (this.#known.size >= KNOWN_KEYS) this.#known.clear();
    this.#known.set(_id, { of, keys });
    return keys;
  }
}

function openKeys(identity: Uint8Array, sealers: ReadonlyMap<number, Sealer>): ConnectionKeys {
  const indexKey = createSecretKey(derive(identity, 'index'));
  return {
    fingerprintKey: derive(identity, 'fingerprint'),
    sealers,
    current: Math.max(...sealers.keys()),
    indexHash: (model, path, value) => hashOf(indexKey, JSON.stringify([model, path, value])),
  };
}

/** A key of its own for each use (HKDF-SHA-256, RFC 5869). */
function derive(secret: Uint8Array, use: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `tidemark/connection/${use}`, KEY_BYTES));
}

function hashOf(key: KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest().subarray(0, INDEX_HASH_BYTES);
}

/** The sealer of a key. Throws KEY_UNAVAILABLE for one that was destroyed: what it sealed is gone for ever. */
export function sealerOf(keys: ConnectionKeys, e: number): Sealer {
  const sealer = keys.sealers.get(e);
  if (sealer !== undefined) return sealer;
  throw new TidemarkError('KEY_UNAVAILABLE', 'a payload was sealed under a key that no longer exists');
}
