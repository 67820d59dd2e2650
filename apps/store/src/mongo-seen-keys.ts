import { Binary, type ClientSession, type Filter } from 'mongodb';
import type { RunDocument, SeenDocument, StoreDatabase } from './mongo-collections.js';
import { SeenKeys } from './seen-keys.js';

const CACHE_BYTES = 160 * 1024 * 1024;
const KNOWN_TOUCHED = 100;

interface Entry {
  readonly keys: SeenKeys;
  /** Pages that the set holds. */
  pages: number;
}

type RunKey = Pick<RunDocument, 'c' | 'seenAs'>;

function cacheKey({ c, seenAs }: RunKey): string {
  return `${c}:${seenAs}`;
}

/** Pages from `start` up to, but without, `end`; those below zero are other runs'. */
function pageRange({ c, seenAs: run }: RunKey, start: number, end: number): Filter<SeenDocument> {
  return { _id: { $gte: { c, run, page: start }, $lt: { c, run, page: end } } };
}

/**
 * The seen-keys of running snapshots: durable as one document a page, written with the page's commit; in memory as a set
 * that is built again from them whenever this process does not have the run's newest page. Bounded by bytes.
 */
export class MongoSeenKeys {
  readonly #cache = new Map<string, Entry>();
  /** Those of other runs; few, and forgotten together. */
  readonly #touched = new Map<string, { readonly keys: SeenKeys; touches: number }>();

  constructor(readonly db: StoreDatabase) {}

  /** The keys of all pages committed by a run. */
  async load(run: RunDocument): Promise<SeenKeys> {
    const cached = this.#cache.get(cacheKey(run));
    if (cached?.pages === run.pages) {
      this.#keep(cacheKey(run), cached);
      return cached.keys;
    }
    const keys = new SeenKeys(run.seenAs);
    if (run.pages > 0) {
      for await (const { k } of this.db.seen.find(pageRange(run, 0, run.pages)).sort({ _id: 1 }))
        keys.addPacked(k.buffer);
    }
    this.#keep(cacheKey(run), { keys, pages: run.pages });
    return keys;
  }

  /** Writes a page's keys inside its commit. */
  async write(session: ClientSession, run: RunDocument, packed: Buffer): Promise<void> {
    if (packed.length === 0) return;
    await this.db.seen.insertOne(
      { _id: { c: run.c, run: run.seenAs, page: run.pages }, c: run.c, k: new Binary(packed) },
      { session },
    );
  }

  /** Writes the keys of records that another run saw while a snapshot is open, inside that run's commit. */
  async writeTouched(session: ClientSession, snapshot: RunDocument, ids: readonly string[]): Promise<void> {
    const k = new Binary(new SeenKeys(snapshot.seenAs).pack(ids));
    const _id = { c: snapshot.c, run: snapshot.seenAs, page: -1 - snapshot.touches };
    await this.db.seen.insertOne({ _id, c: snapshot.c, k }, { session });
  }

  /** The keys of records that other runs saw while a snapshot is open. Kept apart: the snapshot itself did not hold them. */
  async touched(run: RunDocument): Promise<SeenKeys> {
    const key = cacheKey(run);
    const known = this.#touched.get(key);
    const entry = known ?? { keys: new SeenKeys(run.seenAs), touches: 0 };
    if (entry.touches < run.touches) {
      const { touches } = run;
      for await (const { k } of this.db.seen.find(pageRange(run, -touches, -entry.touches)))
        entry.keys.addPacked(k.buffer);
      entry.touches = touches;
      if (known === undefined && this.#touched.size >= KNOWN_TOUCHED) this.#touched.clear();
      this.#touched.set(key, entry);
    }
    return entry.keys;
  }

  /** Takes a committed page's keys into the set that it was planned with. */
  committed(run: RunDocument, keys: SeenKeys, packed: Buffer): void {
    keys.addPacked(packed);
    const entry = this.#cache.get(cacheKey(run));
    if (entry?.keys === keys && entry.pages === run.pages) entry.pages++;
  }

  /** Removes what is kept of a run. */
  async drop(run: RunKey): Promise<void> {
    this.#cache.delete(cacheKey(run));
    this.#touched.delete(cacheKey(run));
    await this.db.seen.deleteMany(pageRange(run, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER));
  }

  #keep(key: string, entry: Entry): void {
    this.#cache.delete(key);
    this.#cache.set(key, entry);
    let bytes = [...this.#cache.values()].reduce((sum, { keys }) => sum + keys.bytes, 0);
    for (const [oldest, { keys }] of this.#cache) {
      if (bytes <= CACHE_BYTES || oldest === key) break;
      this.#cache.delete(oldest);
      bytes -= keys.bytes;
    }
  }
}
