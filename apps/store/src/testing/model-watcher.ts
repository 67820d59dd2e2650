import { setTimeout as sleep } from 'node:timers/promises';
import { WatchStart, type Change, type Marker } from '@tidemark/contracts';
import { isTidemarkError } from '@tidemark/model';
import { forTenant } from '@tidemark/rpc';
import type { StoreHarness } from './harness.js';
import { contentOf } from './model-readers.js';
import type { ModelScope } from './model-scope.js';

const RETRY_MS = 20;

/** Watches a connection from its oldest change, over crashes and restarts of the stores. */
export class ModelWatcher {
  readonly changes: Change[] = [];
  readonly markers: Marker[] = [];
  /** Changes at or below a watermark that came after it. */
  readonly late: string[] = [];
  readonly failures: unknown[] = [];
  readonly #abort = new AbortController();
  #cursor: string | undefined;
  #through = 0;
  #ended: Promise<void> | undefined;

  constructor(
    readonly scope: ModelScope,
    readonly store: () => Promise<StoreHarness>,
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
        // A store that is killed or restarted ends its streams: go on from the cursor. Anything else is a fault.
        const isGone = isTidemarkError(error, 'SERVICE_UNAVAILABLE', 'DATABASE_UNAVAILABLE');
        if (!this.#abort.signal.aborted && !isGone) this.failures.push(error);
        await sleep(RETRY_MS);
      }
    }
  }

  async #watch(): Promise<void> {
    const { scope } = this;
    const request = {
      connectionIds: [scope.connectionId],
      start: WatchStart.FROM_OLDEST,
      cursors: this.#cursor === undefined ? [] : [this.#cursor],
    };
    const { purged } = scope;
    const { reading } = await this.store();
    const stream = reading.watchChanges(request, {
      metadata: forTenant('acme'),
      signal: this.#abort.signal,
    });
    for await (const { changes, cursor, completeThrough, marker } of stream) {
      for (const { record } of changes) {
        if (record === undefined) throw new Error('a change came without its record');
        scope.check('a watch', purged, record.model, record.sequence, contentOf(record));
        if (Number(record.changedAt) <= this.#through) this.late.push(String(record.sequence));
      }
      this.changes.push(...changes);
      if (marker) this.markers.push(marker);
      this.#cursor = cursor;
      this.#through = Math.max(this.#through, Number(completeThrough ?? 0));
    }
  }
}
