import { setTimeout as sleep } from 'node:timers/promises';
import { WatchStart, type Change, type Record as RecordMessage } from '@tidemark/contracts';
import type { Api } from './cluster.js';
import { isAway, patiently } from './patience.js';

/** A record of a living source: `n` counts its changes. */
export interface LivingRecord {
  readonly id: string;
  readonly n: number;
}

const PAUSE_MS = 100;

/** Watches all changes of a connection from the first on, and goes on from its last cursor whenever the watch breaks. */
export class ChangeWatch {
  /** The newest version of each record. */
  readonly versions = new Map<string, number>();
  /** The live records' newest states. */
  readonly states = new Map<string, LivingRecord>();
  /** Every change to a tombstone, in order, with the run that made it. */
  readonly deletes: { readonly id: string; readonly runId: string }[] = [];
  /** What should not have come, or not then. */
  readonly faults: string[] = [];
  changes = 0;
  /** How often it broke. */
  breaks = 0;
  readonly #leaving = new AbortController();
  readonly #seen = new Map<string, number>();
  readonly #work: Promise<void>;
  #sequence = 0n;
  #cursor: string | undefined;

  constructor(
    private readonly records: Api['records'],
    private readonly connectionId: string,
  ) {
    this.#work = this.#follow().catch((error: unknown) => {
      this.faults.push(`the watch failed: ${String(error)}`);
    });
  }

  async stop(): Promise<void> {
    this.#leaving.abort();
    await this.#work;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#leaving;
    for (; !signal.aborted; this.breaks++) {
      try {
        const request = {
          connectionIds: [this.connectionId],
          start: WatchStart.FROM_OLDEST,
          cursors: this.#cursor === undefined ? [] : [this.#cursor],
        };
        for await (const { changes, cursor } of this.records.watchChanges(request, { signal })) {
          for (const change of changes) this.#take(change);
          if (cursor !== '') this.#cursor = cursor;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!isAway(error)) throw error;
      }
      await sleep(PAUSE_MS);
    }
  }

  #take({ record, runId }: Change): void {
    if (record === undefined) {
      this.faults.push('a change came without its record');
      return;
    }
    const { id, version, sequence } = record;
    this.changes++;
    const before = this.versions.get(id) ?? 0;
    if (Number(version) !== before + 1) this.faults.push(`version ${version} of ${id} came after ${before}`);
    this.versions.set(id, Number(version));
    if (sequence <= this.#sequence) this.faults.push(`sequence ${sequence} came after ${this.#sequence}`);
    this.#sequence = sequence;
    if (record.deletedAt !== undefined) this.deletes.push({ id, runId });
    this.#replay(id, record);
  }

  #replay(id: string, record: RecordMessage): void {
    if (record.deletedAt !== undefined) {
      this.states.delete(id);
      return;
    }
    const state = toLivingRecord(record);
    const seen = this.#seen.get(id) ?? 0;
    if (state.n <= seen) this.faults.push(`${id} went back from its state ${seen} to ${state.n}`);
    this.#seen.set(id, state.n);
    this.states.set(id, state);
  }
}

/** A live record as its source gave it out. */
function toLivingRecord({ data }: RecordMessage): LivingRecord {
  return JSON.parse(Buffer.from(data).toString()) as LivingRecord;
}

/** The live records of a connection, as the store has them. */
export async function storedRecords(
  { records }: Api,
  connectionId: string,
): Promise<Map<string, LivingRecord>> {
  return patiently(async () => {
    const found = new Map<string, LivingRecord>();
    for await (const page of records.streamRecords({ connectionId, excludeDeleted: true }))
      for (const record of page.records) found.set(record.id, toLivingRecord(record));
    return found;
  });
}
