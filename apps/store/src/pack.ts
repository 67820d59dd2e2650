import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import { TidemarkError } from '@tidemark/model';

/** Most payloads of one pack, and the bytes of payloads past which it is full. */
export const MAX_PACK_ENTRIES = 256;
export const MAX_PACK_BYTES = 256 * 1024;

const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;
const STORED = 0;
const BROTLI = 1;
/** Below it, compressing costs more than it saves. */
const MIN_COMPRESSED_BYTES = 1_024;
/** One payload of 4 MiB with its table; nothing that was packed here is larger. */
const MAX_UNPACKED_BYTES = 8 * 1024 * 1024;
const COMPRESSION = {
  params: { [constants.BROTLI_PARAM_QUALITY]: 1, [constants.BROTLI_PARAM_LGWIN]: 18 },
};

/** One payload of a pack: how many sequences before the pack's last one its change lies, and its bytes. */
export interface PackEntry {
  readonly back: number;
  readonly payload: Uint8Array;
}

/**
 * Packs payloads: a byte for the form, then, compressed together, their number, a table (`back` and length, unsigned 32-bit
 * little-endian) and the payloads one after the other. Together, because records of one model compress to a tenth then.
 */
export function encodePack(entries: readonly PackEntry[]): Buffer {
  const tableEnd = HEADER_BYTES + entries.length * ENTRY_BYTES;
  const plain = Buffer.allocUnsafe(entries.reduce((sum, { payload }) => sum + payload.byteLength, tableEnd));
  plain.writeUInt32LE(entries.length, 0);
  let at = tableEnd;
  entries.forEach(({ back, payload }, index) => {
    plain.writeUInt32LE(back, HEADER_BYTES + index * ENTRY_BYTES);
    plain.writeUInt32LE(payload.byteLength, HEADER_BYTES + index * ENTRY_BYTES + 4);
    plain.set(payload, at);
    at += payload.byteLength;
  });
  if (plain.byteLength < MIN_COMPRESSED_BYTES) return Buffer.concat([Buffer.of(STORED), plain]);
  return Buffer.concat([Buffer.of(BROTLI), brotliCompressSync(plain, COMPRESSION)]);
}

/** A pack's payloads, found by the sequence of their change. */
export class Pack {
  readonly #offsets = new Map<number, readonly [start: number, end: number]>();
  readonly #plain: Buffer;

  /** `last` is the sequence that the pack is kept under. Throws INTERNAL for what is no pack. */
  constructor(
    encoded: Uint8Array,
    readonly last: number,
  ) {
    const plain = unpack(encoded);
    this.#plain = plain;
    const count = plain.readUInt32LE(0);
    let start = HEADER_BYTES + count * ENTRY_BYTES;
    for (let index = 0; index < count; index++) {
      const back = plain.readUInt32LE(HEADER_BYTES + index * ENTRY_BYTES);
      const end = start + plain.readUInt32LE(HEADER_BYTES + index * ENTRY_BYTES + 4);
      this.#offsets.set(last - back, [start, end]);
      start = end;
    }
  }

  /** Sequences of the changes whose payloads it holds, in order. */
  get sequences(): number[] {
    return [...this.#offsets.keys()];
  }

  /** The payload of a change; undefined if it is not (or no longer) held. */
  get(sequence: number): Uint8Array | undefined {
    const offsets = this.#offsets.get(sequence);
    return offsets && this.#plain.subarray(...offsets);
  }
}

function unpack(encoded: Uint8Array): Buffer {
  const body = Buffer.from(encoded.buffer, encoded.byteOffset + 1, encoded.byteLength - 1);
  switch (encoded[0]) {
    case STORED:
      return body;
    case BROTLI:
      return brotliDecompressSync(body, { maxOutputLength: MAX_UNPACKED_BYTES });
    default:
      throw new TidemarkError('INTERNAL', 'a pack of payloads is of an unknown form');
  }
}

/** Where to cut payloads, given by their sizes in order, into packs: the index after each pack's last. */
export function packEnds(sizes: readonly number[]): number[] {
  const ends: number[] = [];
  let start = 0;
  let bytes = 0;
  sizes.forEach((size, index) => {
    const full = index > start && (index - start >= MAX_PACK_ENTRIES || bytes + size > MAX_PACK_BYTES);
    if (full) {
      ends.push(index);
      start = index;
      bytes = 0;
    }
    bytes += size;
  });
  if (sizes.length > start) ends.push(sizes.length);
  return ends;
}
