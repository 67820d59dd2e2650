import { parseJson } from '@tidemark/model';
import type { ConnectionKeys } from './connection-keys.js';
import { matchesFilter, type FilterTerm } from './index-fields.js';

/** Finds records by index fields: by their hashes first, and then, because hashes may collide, by the values themselves. */
export class RecordFilter {
  readonly #hashes: ReadonlyMap<string, readonly Buffer[]>;

  constructor(
    readonly terms: readonly FilterTerm[],
    models: readonly string[],
    { indexHash }: ConnectionKeys,
  ) {
    this.#hashes = new Map(
      models.map((model) => [model, terms.map(({ path, text }) => indexHash(model, path, text))]),
    );
  }

  /** Hashes of which a record has to have one: those of the first term. */
  get anyOf(): Buffer[] {
    return [...this.#hashes.values()].flatMap(([first]) => first ?? []);
  }

  /** Whether a record has all hashes. A tombstone has those of its last content, and nothing else to judge it by. */
  mayMatch(model: string, hashes: readonly Uint8Array[]): boolean {
    const wanted = this.#hashes.get(model) ?? [];
    return wanted.every((hash) => hashes.some((present) => hash.equals(present)));
  }

  /** Whether content has all values. */
  matches(payload: Uint8Array): boolean {
    const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString();
    return matchesFilter(parseJson(text), this.terms);
  }
}
