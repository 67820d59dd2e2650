import {
  WatchStart,
  type Change,
  type Record as RecordMessage,
  type StreamRecordsRequest,
  type StreamRecordsResponse,
} from '@tidemark/contracts';
import { isTidemarkError } from '@tidemark/model';
import { forTenant } from '@tidemark/rpc';
import type { StoreHarness } from './harness.js';

/** What a reader knows of a record: its version and content, or that it is gone. */
export type Known = ReadonlyMap<string, string>;

type Start = StreamRecordsRequest['start'];

/** One line of what a record is. */
export function line(record: RecordMessage): [string, string] {
  return [
    `${record.model}/${record.id}`,
    `v${record.version} ${record.deletedAt ? 'deleted' : Buffer.from(record.data).toString()}`,
  ];
}

/** Follows a connection by one kind of position, from read to read. */
export class ModelReader {
  readonly #known = new Map<string, string>();
  #start: Start;

  constructor(
    readonly connectionId: string,
    readonly kind: 'cursor' | 'watermark' | 'wall clock',
  ) {}

  get known(): Known {
    return this.#known;
  }

  /** Reads what is new; `limit` 0 reads all. */
  async read(store: StoreHarness, limit: number): Promise<void> {
    const began = new Date();
    // A wall clock says nothing of what a limit cut off.
    const most = this.kind === 'wall clock' ? 0n : BigInt(limit);
    const request = {
      connectionId: this.connectionId,
      limit: most,
      pageSize: 3,
      ...(this.#start ? { start: this.#start } : {}),
    };
    let last: StreamRecordsResponse | undefined;
    const seen = new Map<string, string>();
    for await (const response of store.reading.streamRecords(request, { metadata: forTenant('acme') })) {
      for (const record of response.records) seen.set(...line(record));
      last = response;
    }
    for (const [id, text] of seen) this.#known.set(id, text);
    this.#start = this.#next(last, began);
  }

  #next(last: StreamRecordsResponse | undefined, began: Date): Start {
    if (last?.completeThrough === undefined) throw new Error('a stream ended without a watermark');
    switch (this.kind) {
      case 'cursor':
        return { $case: 'cursor', value: last.cursor };
      case 'watermark':
        return { $case: 'updatedAfter', value: last.completeThrough };
      case 'wall clock':
        return { $case: 'updatedAfter', value: began };
    }
  }
}

/** Watches a connection from its oldest change, over restarts of the stores. */
export class ModelWatcher {
  readonly changes: Change[] = [];
  /** Changes at or below a watermark that came after it. */
  readonly late: string[] = [];
  readonly failures: unknown[] = [];
  readonly #abort = new AbortController();
  #cursor: string | undefined;
  #through = 0;
  #ended: Promise<void> | undefined;

  constructor(
    readonly connectionId: string,
    readonly store: () => StoreHarness,
  ) {}

  start(): void {
    this.#ended = this.#follow();
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
        // A store that is restarted ends its streams: go on from the cursor. Anything else is a fault.
        if (!this.#abort.signal.aborted && !isTidemarkError(error, 'SERVICE_UNAVAILABLE'))
          this.failures.push(error);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  async #watch(): Promise<void> {
    const request = {
      connectionIds: [this.connectionId],
      start: WatchStart.FROM_OLDEST,
      cursors: this.#cursor === undefined ? [] : [this.#cursor],
    };
    const stream = this.store().reading.watchChanges(request, {
      metadata: forTenant('acme'),
      signal: this.#abort.signal,
    });
    for await (const { changes, cursor, completeThrough } of stream) {
      for (const change of changes) {
        if (Number(change.record?.changedAt) <= this.#through)
          this.late.push(String(change.record?.sequence));
      }
      this.changes.push(...changes);
      this.#cursor = cursor;
      this.#through = Math.max(this.#through, Number(completeThrough ?? 0));
    }
  }
}
