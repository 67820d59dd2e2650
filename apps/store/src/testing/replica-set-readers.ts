import {
  WatchStart,
  type Change,
  type StreamRecordsRequest,
  type StreamRecordsResponse,
  type WatchChangesResponse,
} from '@tidemark/contracts';
import { forTenant } from '@tidemark/rpc';
import type { StoreHarness } from './harness.js';
import { isOutage, retry } from './replica-set-writers.js';

/** What a reader keeps to ask for what is new. */
export type Position = 'cursor' | 'watermark' | 'wall clock';

/** Reads again and again what is new of a connection, by one kind of position, over all outages. */
export class FailoverReader {
  /** Each record's newest version and content. */
  readonly known = new Map<string, string>();
  failure: unknown;
  reads = 0;
  #start: StreamRecordsRequest['start'];
  #resting = false;
  #ended: Promise<void> | undefined;

  constructor(
    readonly store: () => StoreHarness,
    readonly connectionId: string,
    readonly position: Position,
  ) {}

  start(): void {
    this.#ended = this.#follow().catch((error: unknown) => {
      this.failure = error;
    });
  }

  /** Reads once more, and ends. */
  async stop(): Promise<void> {
    this.#resting = true;
    await this.#ended;
  }

  async #follow(): Promise<void> {
    for (let last = false; !last; this.reads++) {
      last = this.#resting;
      await retry(() => this.#read());
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** An outage in the middle leaves the position where it was, and what was read is read again. */
  async #read(): Promise<void> {
    const began = new Date();
    const request = {
      connectionId: this.connectionId,
      pageSize: 5,
      ...(this.#start ? { start: this.#start } : {}),
    };
    let last: StreamRecordsResponse | undefined;
    for await (const response of this.store().reading.streamRecords(request, {
      metadata: forTenant('acme'),
    })) {
      for (const { model, id, version, deletedAt, data } of response.records)
        this.known.set(
          `${model}/${id}`,
          `v${version} ${deletedAt ? 'deleted' : Buffer.from(data).toString()}`,
        );
      last = response;
    }
    if (last?.completeThrough === undefined) throw new Error('a stream ended without a watermark');
    this.#start = {
      cursor: { $case: 'cursor', value: last.cursor } as const,
      watermark: { $case: 'updatedAfter', value: last.completeThrough } as const,
      'wall clock': { $case: 'updatedAfter', value: began } as const,
    }[this.position];
  }
}

/** Watches a connection from its oldest change, going on from its last cursor after each outage. */
export class FailoverWatcher {
  readonly changes: Change[] = [];
  /** Sequences that came again, or out of order. */
  readonly repeated: bigint[] = [];
  /** Sequences that came after a watermark that had promised that there would be none. */
  readonly late: bigint[] = [];
  failure: unknown;
  outages = 0;
  readonly #abort = new AbortController();
  #cursor: string | undefined;
  #sequence = 0n;
  #through = 0;
  #ended: Promise<void> | undefined;

  constructor(
    readonly store: () => StoreHarness,
    readonly connectionId: string,
  ) {}

  start(): void {
    this.#ended = this.#follow().catch((error: unknown) => {
      this.failure = error;
    });
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#ended;
  }

  async #follow(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      try {
        await this.#watch();
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        if (!isOutage(error)) throw error;
        this.outages++;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async #watch(): Promise<void> {
    const request = {
      connectionIds: [this.connectionId],
      start: WatchStart.FROM_OLDEST,
      cursors: this.#cursor === undefined ? [] : [this.#cursor],
    };
    const options = { metadata: forTenant('acme'), signal: this.#abort.signal };
    for await (const response of this.store().reading.watchChanges(request, options)) this.#take(response);
  }

  #take({ changes, cursor, completeThrough }: WatchChangesResponse): void {
    for (const change of changes) {
      const sequence = change.record?.sequence ?? 0n;
      if (sequence <= this.#sequence) this.repeated.push(sequence);
      if (Number(change.record?.changedAt) <= this.#through) this.late.push(sequence);
      this.#sequence = sequence;
      this.changes.push(change);
    }
    this.#cursor = cursor;
    this.#through = Math.max(this.#through, Number(completeThrough ?? 0));
  }
}
