import { SyncKind } from '@tidemark/contracts';
import { isTidemarkError, type ErrorReason } from '@tidemark/model';
import { TestRun, type StoreHarness, type TestRecord } from './harness.js';

const RECORDS = 24;
const PAGES_A_RUN = 4;
const PAGE_RECORDS = RECORDS / PAGES_A_RUN;

/** What a caller tries again after: neither store nor database could be reached, or the answer did not come in time. */
export function isOutage(error: unknown): boolean {
  return (
    isTidemarkError(error, 'DATABASE_UNAVAILABLE') ||
    isTidemarkError(error, 'SERVICE_UNAVAILABLE') ||
    isTidemarkError(error, 'DEADLINE_EXCEEDED')
  );
}

/**
 * Writes runs of one model, one after the other, without rest, and does as a scheduler does when the store cannot: begin the
 * run again, learn from that which pages are committed, and send the next. Knows what the store has to hold in the end.
 */
export class FailoverWriter {
  /** Each record's contents so far, one a version; undefined is a tombstone. */
  readonly versions = new Map<string, (number | undefined)[]>();
  acknowledged = 0;
  outages = 0;
  /** Pages that were committed although their answer was an outage. */
  resolved = 0;
  /** What ended the writing, if anything did. */
  failure: unknown;
  /** The ids that the open run's pages held. */
  readonly #held = new Set<string>();
  #epoch = 0n;
  #runs = 0;
  #level = 0;
  #resting = false;
  #ended: Promise<void> | undefined;

  constructor(
    /** The store to go on with, asked anew after each outage. */
    readonly store: () => StoreHarness,
    readonly connectionId: string,
    readonly model: string,
    readonly kind: SyncKind,
    /** How long it waits for a page's answer before it goes on with another store, the commit perhaps still under way. */
    readonly patienceMs: number,
  ) {}

  start(): void {
    this.#ended = this.#write().catch((error: unknown) => {
      this.failure = error;
    });
  }

  /** Ends the run that is open, then rests. */
  async stop(): Promise<void> {
    this.#resting = true;
    await this.#ended;
  }

  async #write(): Promise<void> {
    while (!this.#resting) await this.#run();
  }

  async #run(): Promise<void> {
    this.#runs++;
    let { run } = await this.#begin();
    for (let page = 0; page < PAGES_A_RUN; page++) run = await this.#commit(run, page);
    await retry(() => run.finish());
    if (this.kind === SyncKind.FULL) this.#expectDeletes();
  }

  /** Commits a page, whatever it takes, and returns the run to go on with. */
  async #commit(run: TestRun, page: number): Promise<TestRun> {
    const records = this.#page(page);
    for (let holder = run; ;) {
      try {
        const request = holder.message(records, BigInt(page));
        await holder.harness.writing.commitPage(request, { deadlineMs: this.patienceMs });
        this.acknowledged++;
        this.#expect(records);
        return holder;
      } catch (error) {
        if (!isOutage(error)) throw error;
      }
      this.outages++;
      const begun = await this.#begin();
      holder = begun.run;
      if (begun.pages === page) continue;
      if (begun.pages !== page + 1) throw new Error(`the run stands at page ${begun.pages}, not ${page}`);
      this.resolved++;
      this.#expect(records);
      return holder;
    }
  }

  async #begin(): Promise<{ run: TestRun; pages: number }> {
    const { connectionId, model, kind } = this;
    const runId = `${model}-${this.#runs}`;
    // An earlier call of ours, given up, may land between: this one then hears LEASE_LOST, and the next epoch is newer than both.
    return retry(async () => {
      const lease = { tenantId: 'acme', connectionId, model, kind, runId, epoch: ++this.#epoch };
      const store = this.store();
      const begun = await store.writing.beginRun({ lease });
      const run = new TestRun(store, lease, begun);
      return { run, pages: Number(begun.pages) };
    }, 'LEASE_LOST');
  }

  /** The records of a page: every third as it was, of a snapshot now and then one missing. */
  #page(page: number): TestRecord[] {
    const level = ++this.#level;
    return Array.from({ length: PAGE_RECORDS }, (_, i): TestRecord => {
      const id = `r${page * PAGE_RECORDS + i}`;
      const now = this.versions.get(id)?.at(-1);
      return [id, { id, level: i % 3 === 0 && now !== undefined ? now : level }];
    }).filter((_, i) => this.kind !== SyncKind.FULL || (level + i) % 11 !== 0);
  }

  #expect(records: readonly TestRecord[]): void {
    for (const [id, content] of records) {
      const { level } = content as { level: number };
      const versions = this.versions.get(id) ?? [];
      this.versions.set(id, versions);
      if (versions.at(-1) !== level) versions.push(level);
      this.#held.add(id);
    }
  }

  #expectDeletes(): void {
    for (const [id, versions] of this.versions) {
      if (!this.#held.has(id) && versions.at(-1) !== undefined) versions.push(undefined);
    }
    this.#held.clear();
  }
}

/** Tries until there is no outage, nor the other reason. */
export async function retry<T>(attempt: () => Promise<T>, other?: ErrorReason): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isOutage(error) && !(other && isTidemarkError(error, other))) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
