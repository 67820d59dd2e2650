import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { isAbortError } from '@tidemark/rpc';
import { closeAfter, meterOf, type Bed } from './bed.js';
import type { Phase } from './meter.js';
import { memory } from './process-files.js';
import { summarize, type Summary } from './statistics.js';
import { StoreClient, type StoreRun } from './store-client.js';
import type { RunningService } from './service-process.js';
import { startStore, storeGroup } from './store-process.js';
import { employee } from './workload.js';

const CONNECTIONS = 10;
const WATCHERS = 500;
const ROUNDS = 50;
const STORE_DATABASE = 'watchers_store';

/** What many watchers of one store process cost. */
export interface WatcherFigures {
  readonly watchers: number;
  /** Open change streams of the store's database. */
  readonly changeStreams: {
    readonly withoutStore: number;
    readonly withOne: number;
    readonly withAll: number;
  };
  /** Resident memory of the store in MB, once it is at rest after the same commits, with a watcher each and with all of them. */
  readonly memoryMb: { readonly withOne: number; readonly withAll: number; readonly peak: number };
  /** From a commit's answer until a watcher has it, over all watchers of the connection, in ms. */
  readonly delivery: Summary;
  readonly phases: readonly Phase[];
}

/** Adds watchers to a store process that has already worked as much without them. */
export async function measureWatchers(bed: Bed): Promise<WatcherFigures> {
  return closeAfter(async (closing) => {
    bed.say(`${String(WATCHERS)} watchers`);
    const { server } = bed;
    const withoutStore = await server.changeStreams(STORE_DATABASE);
    const group = storeGroup('watchers');
    const store = await startStore(bed, group, 'store');
    closing.push(() => store.stop());
    const client = new StoreClient(store, group);
    closing.push(() => client.close());
    const crowd = new Crowd(client);
    closing.push(() => crowd.close());
    const runs: StoreRun[] = [];
    for (const connectionId of connectionIds()) {
      await client.open(connectionId, ['employees']);
      runs.push(await client.begin(connectionId, 'employees'));
    }
    await crowd.grow(CONNECTIONS);
    await commitRounds(crowd, runs, 0);
    const withOne = { streams: await server.changeStreams(STORE_DATABASE), memory: await atRest(store) };
    await crowd.grow(WATCHERS);
    const meter = meterOf(bed, [store], 'bench');
    const latencies = await meter.measure(
      `commits to ${String(WATCHERS)} watchers`,
      ROUNDS * CONNECTIONS,
      () => commitRounds(crowd, runs, ROUNDS),
    );
    const withAll = { streams: await server.changeStreams(STORE_DATABASE), memory: await atRest(store) };
    return {
      watchers: WATCHERS,
      changeStreams: { withoutStore, withOne: withOne.streams, withAll: withAll.streams },
      memoryMb: {
        withOne: withOne.memory,
        withAll: withAll.memory,
        peak: (await memory(store.pid))?.peak ?? NaN,
      },
      delivery: summarize(latencies),
      phases: meter.phases,
    };
  });
}

function connectionIds(): string[] {
  return Array.from({ length: CONNECTIONS }, (_, i) => `bench-${String(i)}`);
}

/** Commits single records to each connection in turn; gives back each watcher's delay. */
async function commitRounds(crowd: Crowd, runs: readonly StoreRun[], first: number): Promise<number[]> {
  const latencies: number[] = [];
  for (let i = first; i < first + ROUNDS; i++) {
    for (const [connection, run] of runs.entries()) {
      const delivered = crowd.delivered(connection);
      await run.commit(run.page([employee(i, 0)]));
      const acknowledged = performance.now();
      for (const at of await delivered) latencies.push(at - acknowledged);
    }
  }
  return latencies;
}

/** Resident memory once it has stopped moving, in MB. */
async function atRest({ pid }: RunningService): Promise<number> {
  const seen: number[] = [];
  while (seen.length < 20) {
    seen.push((await memory(pid))?.now ?? NaN);
    const last = seen.slice(-6);
    if (last.length === 6 && Math.max(...last) - Math.min(...last) <= 1) break;
    await delay(500);
  }
  return seen.at(-1) ?? NaN;
}

/** Watchers, evenly spread over the connections. */
class Crowd {
  readonly #abort = new AbortController();
  readonly #following: Promise<void>[] = [];
  readonly #waiting = new Map<number, (at: number) => void>();
  #failure: Error | undefined;
  #reject: ((error: Error) => void) | undefined;

  constructor(readonly client: StoreClient) {
    setMaxListeners(0, this.#abort.signal); // one for each watcher
  }

  /** Adds watchers until there are so many and all of them stand. */
  async grow(size: number): Promise<void> {
    const standing: Promise<void>[] = [];
    while (this.#following.length < size) {
      const watcher = this.#following.length;
      standing.push(
        new Promise((stands, reject) => {
          this.#following.push(this.#follow(watcher, stands).catch(reject));
        }),
      );
    }
    await Promise.all(standing);
  }

  /** Resolves with the moments at which every watcher of a connection has its next change. */
  delivered(connection: number): Promise<number[]> {
    const all = this.#following.flatMap((_, watcher) =>
      watcher % CONNECTIONS === connection ? [watcher] : [],
    );
    const arrivals = all.map((watcher) => new Promise<number>((tell) => this.#waiting.set(watcher, tell)));
    const failed = new Promise<never>((_, reject) => {
      this.#reject = reject;
      if (this.#failure) reject(this.#failure);
    });
    return Promise.race([Promise.all(arrivals), failed]);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#following);
  }

  async #follow(watcher: number, stands: () => void): Promise<void> {
    const connectionId = `bench-${String(watcher % CONNECTIONS)}`;
    try {
      for await (const { changes } of this.client.watch(connectionId, this.#abort.signal)) {
        stands();
        if (changes.length > 0) this.#waiting.get(watcher)?.(performance.now());
      }
      throw new Error('the store ended a watch');
    } catch (error) {
      if (this.#abort.signal.aborted && isAbortError(error)) return;
      this.#failure = error instanceof Error ? error : new Error('a watch failed', { cause: error });
      this.#reject?.(this.#failure);
      throw error;
    }
  }
}
