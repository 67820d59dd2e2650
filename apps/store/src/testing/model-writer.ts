import { DeleteDecision, SyncKind, type FinishRunResponse } from '@tidemark/contracts';
import { isTidemarkError } from '@tidemark/model';
import { TestRun, type StoreHarness } from './harness.js';
import type { Fields, ModelScope } from './model-scope.js';
import { finishRun, sendPage, type Ending, type Sending } from './model-sending.js';
import type { ModelSource, SourcePage } from './model-source.js';

/** One process's hold of a run: what it read and has yet to commit. */
export interface Hold {
  readonly run: TestRun;
  /** The scope that it reads with. */
  readonly fields: Fields;
  pages: bigint;
  checkpoint: string;
  page?: SourcePage;
  /** The page after it, if it was sent along. */
  next?: SourcePage;
  atEnd: boolean;
}

const STALLED_KEPT = 2;

/** Drives the runs of one (model, kind), one after the other, as a scheduler would. */
export class ModelWriter {
  hold: Hold | undefined;
  /** Its run has to be begun again before it goes on: it was paused, or a page of its was refused. */
  paused = false;
  /** A call of its failed with its store: nobody knows whether it came through. */
  interrupted = false;
  /** Processes whose lease was taken over, and who do not know it. */
  readonly stalled: Hold[] = [];
  /** Tick at which the run began, and the bound it began from. */
  began = 0;
  from = '';
  /** The scope's revision at which it began. */
  beganAt = 0n;
  /** Tick at which its newest committed page was read. */
  readUpTo = 0;
  /** The scope that it reads with. */
  fields: Fields = [];
  /** What a webhook's run fetched. */
  readonly named = new Set<string>();
  /** Records that the run could not read. */
  readonly unread = new Set<string>();
  /** Live records that a finished commit of this writer saw, and the tick at which they were read. */
  readonly saw = new Map<string, number>();
  #epoch = 0n;
  #runs = 0;
  #before: Hold | undefined;

  constructor(
    readonly scope: ModelScope,
    readonly model: string,
    readonly kind: SyncKind,
    readonly source: ModelSource,
  ) {}

  get runId(): string {
    return `${this.model}-${this.kind}-${this.#runs}`;
  }

  /** Whether a run of it is under way. */
  get running(): boolean {
    return this.hold !== undefined || this.interrupted;
  }

  /** Begins a run, or takes the running one over. */
  async begin(store: StoreHarness): Promise<void> {
    if (!this.running) this.#runs++;
    this.#before = this.hold ?? this.#before;
    // Until the answer is there: the call may fail with its store.
    this.hold = undefined;
    this.interrupted = true;
    const { model, kind, runId, scope } = this;
    const fields = scope.fields(model);
    const revision = scope.revision;
    const lease = {
      tenantId: 'acme',
      connectionId: scope.connectionId,
      model,
      kind,
      runId,
      epoch: ++this.#epoch,
    };
    const begun = await store.writing.beginRun({ lease });
    const run = new TestRun(store, lease, begun);
    const checkpoint = Buffer.from(begun.checkpoint).toString();
    const before = this.#takeOver(begun.pages, checkpoint, revision);
    const atEnd = begun.finishing || this.#isAtEnd(begun.pages, before);
    this.fields = fields;
    this.hold = { run, fields, pages: begun.pages, checkpoint, atEnd };
    this.paused = this.interrupted = false;
  }

  #isAtEnd(pages: bigint, before: Hold | undefined): boolean {
    if (this.kind === SyncKind.WEBHOOK) return pages > 0n;
    return before?.atEnd === true && before.pages === pages;
  }

  /** Notes what became of the hold before. */
  #takeOver(pages: bigint, checkpoint: string, revision: bigint): Hold | undefined {
    const before = this.#before;
    this.#before = undefined;
    if (before !== undefined) {
      // Its last page may have come through without an answer.
      if (before.page && pages > before.pages) this.#account(before.page);
      if (before.next && pages > before.pages + 1n) this.#account(before.next);
      this.stalled.push(before);
      if (this.stalled.length > STALLED_KEPT) this.stalled.shift();
    }
    if (pages > 0n) return before;
    this.began = this.source.tick();
    this.from = checkpoint;
    this.beganAt = revision;
    this.unread.clear();
    this.named.clear();
    return undefined;
  }

  /** Stops between two pages, as for a delta of the same connection: what was read and not committed is read again. */
  pause(): void {
    if (!this.hold) return;
    delete this.hold.page;
    delete this.hold.next;
    this.paused = true;
  }

  /** Gives its run up; the next one takes its place. */
  abandon(): void {
    this.hold = undefined;
    this.#before = undefined;
    this.interrupted = this.paused = false;
  }

  /** Reads the next page from the source, some time before it is committed. */
  fetch(ids: readonly string[]): void {
    const { hold, source } = this;
    if (!hold || hold.page || hold.atEnd) return;
    switch (this.kind) {
      case SyncKind.FULL:
        hold.page = source.fullPage(hold.checkpoint);
        break;
      case SyncKind.DELTA:
        hold.page = source.deltaPage(hold.checkpoint);
        break;
      default:
        hold.page = source.namedPage(ids);
    }
    if (this.from === '') this.from = String(hold.page.tick);
  }

  async commit(store: StoreHarness, sending: Sending): Promise<void> {
    const { hold } = this;
    if (!hold?.page) return;
    const { page } = hold;
    if (hold.next) {
      // Two pages were sent and no answer came: how far the run is, the store says when it is begun again.
      this.paused = true;
      return;
    }
    let next: Promise<boolean> | undefined;
    try {
      const sent = sendPage(store, hold, page, sending);
      next = this.#sendNext(store, hold, page, sending);
      await sent;
    } catch (error) {
      // Another run wrote the same records meanwhile: the contract is to begin again and read anew.
      const isOvertaken = this.kind !== SyncKind.FULL && isTidemarkError(error, 'PAGE_OUT_OF_ORDER');
      if (!isOvertaken && !this.#isOutOfScope(hold, error)) throw error;
      this.pause();
      return;
    }
    this.#committed(hold, page);
    const { next: following } = hold;
    if (following && (await next)) this.#committed(hold, following);
    delete hold.next;
  }

  #committed(hold: Hold, page: SourcePage): void {
    hold.pages++;
    hold.checkpoint = page.checkpoint;
    hold.atEnd = page.last;
    delete hold.page;
    this.interrupted = false;
    this.#account(page);
  }

  /** The next page, if it is to be sent before the answer to this one is there. */
  #sendNext(
    store: StoreHarness,
    hold: Hold,
    page: SourcePage,
    sending: Sending,
  ): Promise<boolean> | undefined {
    if (sending !== 'with the next' || this.kind !== SyncKind.FULL || page.last) return undefined;
    hold.next = this.source.fullPage(page.checkpoint);
    const sent = sendPage(store, { ...hold, pages: hold.pages + 1n }, hold.next, 'whole').then(
      () => true,
      (error: unknown) => {
        // It overtook the page before it, or that was refused.
        if (isTidemarkError(error, 'PAGE_OUT_OF_ORDER') || this.#isOutOfScope(hold, error)) return false;
        throw error;
      },
    );
    sent.catch(() => undefined);
    return sent;
  }

  /** Only a writer who began before the scope became narrower may be told so. */
  #isOutOfScope({ fields }: Hold, error: unknown): boolean {
    return isTidemarkError(error, 'SCOPE_VIOLATED') && fields.length > this.scope.fields(this.model).length;
  }

  #account(page: SourcePage): void {
    this.readUpTo = page.tick;
    for (const id of page.rejected) this.unread.add(id);
    for (const [id, content] of page.records) {
      this.named.add(id);
      if (content) this.saw.set(id, page.tick);
    }
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
    this.interrupted = false;
    if (!response.done || response.held) return undefined;
    this.hold = undefined;
    return response;
  }

  /** A stalled process wakes up and goes on; returns what it managed to do, which has to be nothing. */
  async wakeStalled(store: StoreHarness): Promise<string[]> {
    const done: string[] = [];
    for (const hold of this.stalled) {
      const page = hold.page ?? STALE_PAGE;
      for (const attempt of [
        () => sendPage(store, hold, page, 'whole'),
        () => finishRun(store, hold, 'complete', DeleteDecision.APPROVED, this.kind),
      ]) {
        const failure = await attempt().then(
          () => undefined,
          (error: unknown) => error,
        );
        if (!isTidemarkError(failure, 'LEASE_LOST', 'SCOPE_VIOLATED') && !this.#isOutOfScope(hold, failure))
          done.push(`${this.runId}: ${String(failure)}`);
      }
    }
    return done;
  }
}

const STALE_PAGE: SourcePage = {
  records: [['r00', { n: -1, m: -1 }]],
  rejected: [],
  checkpoint: 'stale',
  last: true,
  tick: 0,
};
