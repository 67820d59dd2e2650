import type { BeginRunResponse, CommitPageResponse, Lease, Page, SourceRecord } from '@tidemark/contracts';
import { isTidemarkError } from '@tidemark/model';
import type { StoreClient } from './store-client.js';

const NO_PAYLOAD = new Uint8Array(0);
/** Other writers may change a record between two attempts, so that it lacks its payload after all; then all are sent. */
const PARTIAL_ATTEMPTS = 2;

/** What is told of each committed page, in order. */
export type OnCommitted = (response: CommitPageResponse, page: Page) => void;

/**
 * Commits the pages of one run in order, leaving out payloads that the store most likely has. They go out two at a time: the
 * store plans the second one while it writes the first. At most two pages are held.
 */
export class PageCommitter {
  private pageNumber: bigint;
  /** Asking again costs as much as sending; so payloads are left out only while pages come wholly unchanged. */
  private withPayloads: boolean;
  private inFlight: Promise<void> | undefined;

  constructor(
    private readonly store: Pick<StoreClient, 'commitPage'>,
    private readonly lease: Lease,
    private readonly begun: BeginRunResponse,
    private readonly signal: AbortSignal,
    private readonly onCommitted: OnCommitted,
  ) {
    this.pageNumber = begun.pages;
    this.withPayloads = begun.recordCount === 0n;
  }

  /** Takes a page on; resolves when the page before it is committed. */
  async commit(page: Page): Promise<void> {
    const before = this.inFlight;
    this.start(page, before);
    await before;
  }

  /** Resolves when every page taken on is committed. */
  async drain(): Promise<void> {
    const { inFlight } = this;
    this.inFlight = undefined;
    await inFlight;
  }

  private start(page: Page, before: Promise<void> | undefined): void {
    const { withPayloads } = this;
    const number = this.pageNumber++;
    const sent = this.send(page, number, withPayloads ? page.records : page.records.map(withoutPayload));
    this.inFlight = this.complete(page, number, sent, before);
    // Whoever drains is told; a failure must not count as unhandled until then.
    this.inFlight.catch(() => undefined);
  }

  private async complete(
    page: Page,
    number: bigint,
    sent: Promise<CommitPageResponse>,
    before: Promise<void> | undefined,
  ): Promise<void> {
    sent.catch(() => undefined);
    try {
      await before;
    } catch (error) {
      // This page is still under way: before it is answered, its run must not be begun again.
      await sent.catch(() => undefined);
      throw error;
    }
    let response = await sent.catch((error: unknown) => {
      // It overtook the page before it, which is committed by now.
      if (!isTidemarkError(error, 'PAGE_OUT_OF_ORDER')) throw error;
      return this.send(page, number, page.records);
    });
    for (let attempt = 1; response.missingPayloads.length > 0; attempt++) {
      const missing = new Set(response.missingPayloads);
      const partial = (record: SourceRecord, index: number) =>
        missing.has(index) ? record : withoutPayload(record);
      response = await this.send(
        page,
        number,
        attempt <= PARTIAL_ATTEMPTS ? page.records.map(partial) : page.records,
      );
    }
    this.withPayloads = response.unchangedShare < 1;
    this.onCommitted(response, page);
  }

  private send(page: Page, pageNumber: bigint, records: SourceRecord[]): Promise<CommitPageResponse> {
    const { lease } = this;
    const { observedSequence, reading } = this.begun;
    const { rejected, checkpoint } = page;
    return this.store.commitPage(
      { lease, pageNumber, observedSequence, reading, records, rejected, checkpoint },
      this.signal,
    );
  }
}

function withoutPayload({ id, fingerprint, deleted }: SourceRecord): SourceRecord {
  return { id, payload: NO_PAYLOAD, fingerprint, deleted };
}
