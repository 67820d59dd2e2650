import type { BeginRunResponse, CommitPageResponse, Lease, Page, SourceRecord } from '@tidemark/contracts';
import type { StoreClient } from './store-client.js';

const NO_PAYLOAD = new Uint8Array(0);
/** Other writers may change a record between two attempts, so that it lacks its payload after all; then all are sent. */
const PARTIAL_ATTEMPTS = 2;

/** Commits the pages of one run in order, leaving out payloads that the store most likely has. */
export class PageCommitter {
  private pageNumber: bigint;
  /** Asking again costs as much as sending; so payloads are left out only while pages come wholly unchanged. */
  private withPayloads: boolean;

  constructor(
    private readonly store: Pick<StoreClient, 'commitPage'>,
    private readonly lease: Lease,
    private readonly begun: BeginRunResponse,
    private readonly signal: AbortSignal,
  ) {
    this.pageNumber = begun.pages;
    this.withPayloads = begun.recordCount === 0n;
  }

  async commit(page: Page): Promise<CommitPageResponse> {
    let response = await this.send(page, this.withPayloads ? page.records : page.records.map(withoutPayload));
    for (let attempt = 1; response.missingPayloads.length > 0; attempt++) {
      const missing = new Set(response.missingPayloads);
      const partial = (record: SourceRecord, index: number) => (missing.has(index) ? record : withoutPayload(record));
      response = await this.send(page, attempt <= PARTIAL_ATTEMPTS ? page.records.map(partial) : page.records);
    }
    this.pageNumber += 1n;
    this.withPayloads = response.unchangedShare < 1;
    return response;
  }

  private send(page: Page, records: SourceRecord[]): Promise<CommitPageResponse> {
    const { lease, pageNumber } = this;
    const { observedSequence } = this.begun;
    const { rejected, checkpoint } = page;
    return this.store.commitPage({ lease, pageNumber, observedSequence, records, rejected, checkpoint }, this.signal);
  }
}

function withoutPayload({ id, fingerprint, deleted }: SourceRecord): SourceRecord {
  return { id, payload: NO_PAYLOAD, fingerprint, deleted };
}
