import { DeleteDecision, SyncKind, type FinishRunResponse } from '@tidemark/contracts';
import { isTidemarkError } from '@tidemark/model';
import { TestRun, type StoreHarness } from './harness.js';
import type { ModelSource, SourcePage } from './model-source.js';

/** How a page is sent. */
export type Sending = 'whole' | 'bare first' | 'twice';

/** How a source ends. */
export type Ending = 'complete' | 'failed' | 'unseen';

const GUARD = { maxDeletedShare: 0.4, minDeletedRecords: 3, maxQuarantinedShare: 1 };

/** One process's hold of a run: what it read and has yet to commit. */
export interface Hold {
  readonly run: TestRun;
  pages: bigint;
  checkpoint: string;
  page?: SourcePage;
  atEnd: boolean;
}

/** Drives the runs of one (model, kind), one after the other, as a scheduler would. */
export class ModelWriter {
  hold: Hold | undefined;
  held = false;
  /** Processes whose lease was taken over, and who do not know it. */
  readonly stalled: Hold[] = [];
  /** Tick at which the run began, and the bound it began from. */
  began = 0;
  from = '';
  /** Tick at which its newest committed page was read. */
  readUpTo = 0;
  /** Records that the run could not read. */
  readonly unread = new Set<string>();
  /** Live records that a finished commit of this writer saw, and the tick at which they were read. */
  readonly saw = new Map<string, number>();
  #epoch = 0n;
  #runs = 0;

  constructor(
    readonly connectionId: string,
    readonly model: string,
    readonly kind: SyncKind,
    readonly source: ModelSource,
  ) {}

  get runId(): string {
    return `${this.model}-${this.kind}-${this.#runs}`;
  }

  /** Begins a run, or takes the running one over. */
  async begin(store: StoreHarness): Promise<void> {
    if (this.hold) this.stalled.push(this.hold);
    else {
      this.#runs++;
      this.began = this.source.tick();
      this.unread.clear();
    }
    const fresh = this.hold === undefined;
    const lease = {
      tenantId: 'acme',
      connectionId: this.connectionId,
      model: this.model,
      kind: this.kind,
      runId: this.runId,
      epoch: ++this.#epoch,
    };
    const begun = await store.writing.beginRun({ lease });
    const checkpoint = Buffer.from(begun.checkpoint).toString();
    if (fresh) this.from = checkpoint;
    const run = new TestRun(store, lease, begun.fingerprintKey, begun.observedSequence, begun.pages);
    const atEnd = begun.finishing || (this.hold?.atEnd === true && this.hold.pages === begun.pages);
    this.hold = { run, pages: begun.pages, checkpoint, atEnd };
  }

  /** Reads the next page from the source, some time before it is committed. */
  fetch(): void {
    const { hold, source } = this;
    if (!hold || hold.page || hold.atEnd) return;
    hold.page =
      this.kind === SyncKind.FULL ? source.fullPage(hold.checkpoint) : source.deltaPage(hold.checkpoint);
    if (this.from === '') this.from = String(hold.page.tick);
  }

  async commit(store: StoreHarness, sending: Sending): Promise<void> {
    const { hold } = this;
    if (!hold?.page) return;
    const { page } = hold;
    try {
      await send(store, hold, page, sending);
    } catch (error) {
      // Another run wrote the same records meanwhile: the contract is to begin again and read anew.
      if (this.kind === SyncKind.FULL || !isTidemarkError(error, 'PAGE_OUT_OF_ORDER')) throw error;
      return this.begin(store);
    }
    hold.pages++;
    this.readUpTo = page.tick;
    hold.checkpoint = page.checkpoint;
    hold.atEnd = page.last;
    delete hold.page;
    for (const id of page.rejected) this.unread.add(id);
    for (const [id, content] of page.records) if (content !== null) this.saw.set(id, page.tick);
  }

  /** Ends the run as far as it goes; the answer when it is ended. */
  async finish(
    store: StoreHarness,
    ending: Ending,
    decision: DeleteDecision,
  ): Promise<FinishRunResponse | undefined> {
    const { hold } = this;
    if (!hold?.atEnd) return undefined;
    const response = await finishRun(store, hold, ending, decision, this.kind);
    this.held = response.held;
    if (!response.done || response.held) return undefined;
    this.hold = undefined;
    return response;
  }

  /** A stalled process wakes up and goes on; returns what it managed to do, which has to be nothing. */
  async wakeStalled(store: StoreHarness): Promise<string[]> {
    const done: string[] = [];
    for (const hold of this.stalled) {
      const page = hold.page ?? {
        records: [['r00', { n: -1 }]],
        rejected: [],
        checkpoint: 'stale',
        last: true,
        tick: 0,
      };
      for (const attempt of [
        () => send(store, hold, page, 'whole'),
        () => finishRun(store, hold, 'complete', DeleteDecision.APPROVED, this.kind),
      ]) {
        const failure = await attempt().then(
          () => undefined,
          (error: unknown) => error,
        );
        if (!isTidemarkError(failure, 'LEASE_LOST')) done.push(`${this.runId}: ${String(failure)}`);
      }
    }
    return done;
  }
}

async function send(
  store: StoreHarness,
  { run, pages }: Hold,
  page: SourcePage,
  sending: Sending,
): Promise<void> {
  run.sendPayloads = sending !== 'bare first';
  const request = () => ({
    ...run.message(page.records, pages),
    rejected: page.rejected.map((id) => ({ id, position: id, reason: 1, message: 'unreadable' })),
    checkpoint: Buffer.from(page.checkpoint),
  });
  const first = await store.writing.commitPage(request());
  run.sendPayloads = true;
  const answer = first.missingPayloads.length > 0 ? await store.writing.commitPage(request()) : first;
  if (sending !== 'twice') return;
  const again = await store.writing.commitPage(request());
  if (again.counters?.read !== answer.counters?.read) throw new Error('a page sent again was counted again');
}

async function finishRun(
  store: StoreHarness,
  { run, checkpoint }: Hold,
  ending: Ending,
  decision: DeleteDecision,
  kind: SyncKind,
): Promise<FinishRunResponse> {
  const end = {
    endEvidence: ending === 'unseen' ? '' : 'the end',
    failures: ending === 'failed' ? ['a page failed'] : [],
    deltaCheckpoint: Buffer.from(kind === SyncKind.FULL ? (checkpoint.split('|')[0] ?? '') : checkpoint),
  };
  return store.writing.finishRun({ lease: run.lease, end, guard: GUARD, decision });
}
