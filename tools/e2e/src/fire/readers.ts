import { setTimeout as sleep } from 'node:timers/promises';
import {
  WatchStart,
  type StreamRecordsRequest,
  type StreamRecordsResponse,
  type WatchChangesResponse,
} from '@tidemark/contracts';
import { isTidemarkError } from '@tidemark/model';
import { forTenant } from '@tidemark/rpc';
import { toVersion } from './content.js';
import type { Poll, Version } from './judge.js';
import type { StoreProcess } from './store-processes.js';

/** Whose connection is read. */
export interface Owner {
  readonly tenantId: string;
  readonly connectionId: string;
}

const LONGEST_PAUSE_MS = 100;
const MOST_LIMIT = 300;
/** Responses after which a restless follower leaves, at most. */
const LONGEST_STAY = 40;

/** Polls for changes from where its kind of position says, at any of the stores, and remembers every answer. */
export class Poller {
  readonly polls: Poll[] = [];
  /** Polls refused since a commit did not land in time. */
  refused = 0;
  #start: StreamRecordsRequest['start'];

  constructor(
    readonly kind: 'cursor' | 'watermark' | 'wall clock',
    readonly owner: Owner,
    readonly stores: readonly StoreProcess[],
  ) {}

  /** Polls until the signal aborts, and then a last time. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // A limit may end a read within a commit, and only a cursor says where.
      const isLimited = this.kind === 'cursor' && Math.random() < 0.5;
      const limit = isLimited ? 1 + Math.floor(Math.random() * MOST_LIMIT) : 0;
      await this.#poll(limit);
      await sleep(Math.random() * LONGEST_PAUSE_MS);
    }
    while (!(await this.#poll(0)));
  }

  /** Whether it was answered. */
  async #poll(limit: number): Promise<boolean> {
    const [began, store, start] = [new Date(), anyOf(this.stores), this.#start];
    try {
      const { given, last } = await this.#read(store, limit);
      const { sequence } = await store.writing.getStatistics(this.owner);
      if (last?.completeThrough === undefined) throw new Error('a stream ended without a watermark');
      const poll = { given, completeThrough: last.completeThrough.getTime(), head: Number(sequence) };
      const isByClock = this.kind === 'wall clock' && start?.$case === 'updatedAfter';
      this.polls.push(isByClock ? { ...poll, since: start.value.getTime() } : poll);
      this.#start = this.#next(last.cursor, last.completeThrough, began);
      return true;
    } catch (error) {
      if (!isTidemarkError(error, 'DATABASE_UNAVAILABLE')) throw error;
      this.refused++;
      return false;
    }
  }

  async #read(
    store: StoreProcess,
    limit: number,
  ): Promise<{ given: Version[]; last: StreamRecordsResponse | undefined }> {
    const { connectionId, tenantId } = this.owner;
    const request = { connectionId, limit: BigInt(limit), ...(this.#start ? { start: this.#start } : {}) };
    const given: Version[] = [];
    let last: StreamRecordsResponse | undefined;
    for await (const response of store.reading.streamRecords(request, { metadata: forTenant(tenantId) })) {
      given.push(...response.records.map(toVersion));
      last = response;
    }
    return { given, last };
  }

  #next(cursor: string, completeThrough: Date, began: Date): StreamRecordsRequest['start'] {
    switch (this.kind) {
      case 'cursor':
        return { $case: 'cursor', value: cursor };
      case 'watermark':
        return { $case: 'updatedAfter', value: completeThrough };
      case 'wall clock':
        return { $case: 'updatedAfter', value: began };
    }
  }
}

/** Follows all changes from the oldest on; a restless one goes over to another store again and again. */
export class Follower {
  readonly changes: Version[] = [];
  /** Changes at or below a watermark that was handed out before them. */
  late = 0;
  /** How often it went on from its cursor. */
  resumed = 0;
  /** The newest watermark. */
  through = -Infinity;
  #cursor: string | undefined;

  constructor(
    readonly owner: Owner,
    readonly stores: readonly StoreProcess[],
    readonly restless: boolean,
  ) {}

  /** Follows until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    for (; !signal.aborted; this.resumed++) {
      try {
        await this.#follow(signal, this.restless ? 1 + Math.floor(Math.random() * LONGEST_STAY) : Infinity);
      } catch (error) {
        if (signal.aborted) return;
        if (!isTidemarkError(error, 'DATABASE_UNAVAILABLE')) throw error;
      }
    }
  }

  async #follow(signal: AbortSignal, responses: number): Promise<void> {
    const request = {
      connectionIds: [this.owner.connectionId],
      start: WatchStart.FROM_OLDEST,
      cursors: this.#cursor === undefined ? [] : [this.#cursor],
    };
    const options = { metadata: forTenant(this.owner.tenantId), signal };
    let left = responses;
    for await (const response of anyOf(this.stores).reading.watchChanges(request, options)) {
      this.#take(response);
      if (--left === 0) return;
    }
  }

  #take({ changes, completeThrough, cursor }: WatchChangesResponse): void {
    for (const { record } of changes) {
      if (record === undefined) throw new Error('a change came without its record');
      const version = toVersion(record);
      if (version.at <= this.through) this.late++;
      this.changes.push(version);
    }
    this.through = Math.max(this.through, completeThrough?.getTime() ?? -Infinity);
    this.#cursor = cursor;
  }
}

function anyOf<T>(all: readonly T[]): T {
  const one = all[Math.floor(Math.random() * all.length)];
  if (one === undefined) throw new Error('there is none');
  return one;
}
