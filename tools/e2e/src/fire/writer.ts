import type { Lease, SourceRecord } from '@tidemark/contracts';
import { canonicalJson, fingerprint, fingerprintKey, isTidemarkError, parseJson } from '@tidemark/model';
import { DELETED } from './content.js';
import type { StoreProcess } from './store-processes.js';

const MAX_PAGE = 80;
/** Share of a page's records that are of those which another run writes, too. */
const SHARED = 0.05;
const SHARED_IDS = 200;
const OWN_IDS = 400;
const DELETES = 0.04;

type Committed = Awaited<ReturnType<StoreProcess['writing']['commitPage']>>;
type FingerprintKey = ReturnType<typeof fingerprintKey>;

/** One run that commits page after page of changed records, and remembers what the store said is stored. */
export class FireWriter {
  /** By id, of the records that it alone writes: the contents acknowledged, in order. */
  readonly own = new Map<string, string[]>();
  /** Of the records that another run writes, too: the contents acknowledged. */
  readonly shared = new Set<string>();
  writes = 0;
  pages = 0;
  /** How often a page was sent again since its answer was lost, or another run had changed its records. */
  resent = 0;
  #key: FingerprintKey | undefined;
  #observed = 0n;
  #reading = 0n;
  #made = 0;

  constructor(
    readonly store: StoreProcess,
    readonly lease: Lease,
  ) {}

  /** Writes until so many changes are acknowledged. */
  async write(count: number): Promise<void> {
    await this.#begin();
    while (this.writes < count) {
      const contents = this.#nextPage(count - this.writes);
      const records = [...contents].map(([id, content]) => this.#record(id, content));
      const before = this.writes;
      const response = await this.#commit(records);
      for (const [id, content] of contents) this.#acknowledged(id, content);
      const { created = 0n, updated = 0n, deleted = 0n } = response.counters ?? {};
      const changed = Number(created + updated + deleted);
      if (this.writes !== changed)
        throw new Error(`the run counts ${changed} changes after ${this.writes - before} more to ${before}`);
      this.pages++;
    }
  }

  async #begin(): Promise<void> {
    const begun = await again(() => this.store.writing.beginRun({ lease: this.lease }));
    if (Number(begun.pages) !== this.pages) throw new Error('a page was lost, or committed unasked');
    this.#key = fingerprintKey(begun.fingerprintKey);
    this.#observed = begun.observedSequence;
    this.#reading = begun.reading;
  }

  /** Sends a page until it is acknowledged: each time the same records under the same number. */
  async #commit(records: SourceRecord[]): Promise<Committed> {
    for (;;) {
      try {
        const page = { lease: this.lease, pageNumber: BigInt(this.pages), reading: this.#reading, records };
        const response = await again(
          () => this.store.writing.commitPage({ ...page, observedSequence: this.#observed }),
          () => this.resent++,
        );
        if (response.lastSequence > this.#observed) this.#observed = response.lastSequence;
        return response;
      } catch (error) {
        // Another run wrote the same records meanwhile: ours are written after its.
        if (!isTidemarkError(error, 'PAGE_OUT_OF_ORDER')) throw error;
        this.resent++;
        await this.#begin();
      }
    }
  }

  #nextPage(left: number): Map<string, string> {
    const page = new Map<string, string>();
    const size = Math.min(left, 1 + Math.floor(Math.random() * MAX_PAGE));
    while (page.size < size) {
      const content = `${this.lease.runId} change ${++this.#made}`;
      if (Math.random() < SHARED) page.set(`shared-${Math.floor(Math.random() * SHARED_IDS)}`, content);
      else {
        const id = `${this.lease.runId}-${Math.floor(Math.random() * OWN_IDS)}`;
        const now = page.get(id) ?? this.own.get(id)?.at(-1) ?? DELETED;
        page.set(id, now !== DELETED && !page.has(id) && Math.random() < DELETES ? DELETED : content);
      }
    }
    return page;
  }

  #record(id: string, content: string): SourceRecord {
    if (this.#key === undefined) throw new Error('the run is not begun');
    if (content === DELETED)
      return { id, payload: Buffer.alloc(0), fingerprint: Buffer.alloc(0), deleted: true };
    const { text, identity } = canonicalJson(parseJson(JSON.stringify({ id, content })));
    const print = fingerprint(this.#key, identity);
    return { id, payload: Buffer.from(text), fingerprint: print, deleted: false };
  }

  #acknowledged(id: string, content: string): void {
    this.writes++;
    if (id.startsWith('shared-')) this.shared.add(content);
    else this.own.set(id, [...(this.own.get(id) ?? []), content]);
  }
}

/** Calls again while the database or the answer is too late: the store takes a page once however often it is sent. */
export async function again<T>(call: () => Promise<T>, onFailure: () => void = () => undefined): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isTidemarkError(error, 'DATABASE_UNAVAILABLE') && !isTidemarkError(error, 'DEADLINE_EXCEEDED'))
        throw error;
      onFailure();
    }
  }
}
