import { hash } from 'node:crypto';
import { TidemarkError } from '@tidemark/model';

/** Bytes of one key in a page's packed form. */
export const SEEN_KEY_BYTES = 8;

const FIRST_SLOTS = 1 << 12;
const MOST_KEYS = 12_000_000;

/**
 * The ids of a snapshot as a set of 64-bit hashes with open addressing: 8 bytes a slot, at most three quarters full, so
 * 10 million ids take 128 MiB. The hash is cryptographic and salted with the run, so that a collision, which would only
 * let a delete wait for the next snapshot, can be neither planned nor repeated.
 */
export class SeenKeys {
  #high = new Uint32Array(FIRST_SLOTS);
  #low = new Uint32Array(FIRST_SLOTS);
  #size = 0;
  /** Digests of the page at hand, each needed for a look-up and for packing. */
  readonly #digests = new Map<string, Buffer>();

  constructor(readonly runId: string) {}

  get size(): number {
    return this.#size;
  }

  /** Memory held, in bytes. */
  get bytes(): number {
    return this.#high.byteLength * 2;
  }

  /** Ids in packed form: 8 bytes each, in order. */
  pack(ids: readonly string[]): Buffer {
    const packed = Buffer.allocUnsafe(ids.length * SEEN_KEY_BYTES);
    ids.forEach((id, index) => this.#digest(id).copy(packed, index * SEEN_KEY_BYTES, 0, SEEN_KEY_BYTES));
    this.#digests.clear();
    return packed;
  }

  /** Throws LIMIT_EXCEEDED if so many more would be beyond 12 million. */
  requireRoom(more: number): void {
    if (this.#size + more > MOST_KEYS) throw tooMany();
  }

  /** Adds packed ids. Throws LIMIT_EXCEEDED beyond 12 million. */
  addPacked(packed: Uint8Array): void {
    const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
    for (let at = 0; at < packed.byteLength; at += SEEN_KEY_BYTES)
      this.#add(view.getUint32(at), view.getUint32(at + 4));
  }

  /** Whether the snapshot held an id. The id's digest is kept for packing. */
  has(id: string): boolean {
    return this.#holds(this.#digest(id));
  }

  /** As `has`, for look-ups that no packing follows: keeps nothing, however many they are. */
  held(id: string): boolean {
    return this.#size > 0 && this.#holds(digestOf(this.runId, id));
  }

  #holds(digest: Buffer): boolean {
    const high = digest.readUInt32BE(0);
    const low = digest.readUInt32BE(4) || 1;
    const slot = this.#find(high, low);
    return this.#low[slot] !== 0;
  }

  #digest(id: string): Buffer {
    let digest = this.#digests.get(id);
    if (!digest) this.#digests.set(id, (digest = digestOf(this.runId, id)));
    return digest;
  }

  #add(high: number, rawLow: number): void {
    const low = rawLow || 1; // zero marks an empty slot
    if (this.#size >= this.#low.length * 0.75) this.#grow();
    const slot = this.#find(high, low);
    if (this.#low[slot] !== 0) return;
    this.#high[slot] = high;
    this.#low[slot] = low;
    this.#size++;
  }

  #find(high: number, low: number): number {
    const mask = this.#low.length - 1;
    let slot = (high ^ low) & mask;
    while (this.#low[slot] !== 0 && (this.#low[slot] !== low || this.#high[slot] !== high))
      slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    if (this.#size >= MOST_KEYS) {
      throw tooMany();
    }
    const [high, low] = [this.#high, this.#low];
    this.#high = new Uint32Array(high.length * 2);
    this.#low = new Uint32Array(low.length * 2);
    this.#size = 0;
    low.forEach((word, slot) => {
      if (word !== 0) this.#add(high[slot] ?? 0, word);
    });
  }
}

function digestOf(runId: string, id: string): Buffer {
  return hash('sha256', `${runId}\0${id}`, 'buffer');
}

function tooMany(): TidemarkError {
  return new TidemarkError('LIMIT_EXCEEDED', `a snapshot holds at most ${MOST_KEYS} records of one model`);
}
