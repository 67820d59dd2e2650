import { isAbortError } from '@tidemark/rpc';
import { Arrivals } from './arrivals.js';
import type { StoreClient, StoreRun } from './store-client.js';
import type { TimedWrite } from './wall-clock.js';
import { employee } from './workload.js';

/** A watcher of one connection, and a writer that it follows. */
export class Watch {
  readonly #arrivals = new Arrivals();
  readonly #abort = new AbortController();
  readonly #following: Promise<void>;

  private constructor(client: StoreClient, connectionId: string) {
    this.#following = this.#follow(client, connectionId);
  }

  /** Resolves once the watch stands. */
  static async open(client: StoreClient, connectionId: string): Promise<Watch> {
    const watch = new Watch(client, connectionId);
    await watch.#arrivals.expect('');
    return watch;
  }

  /** Commits employee `i`, followed to its change. Each only once. */
  async commit(run: StoreRun, i: number): Promise<TimedWrite> {
    const content = employee(i, 0);
    const page = run.page([content]);
    const arrival = this.#arrivals.expect(content.id);
    const started = performance.now();
    await run.commit(page);
    const answered = performance.now();
    return { started, answered, seen: await arrival };
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#following;
  }

  async #follow(client: StoreClient, connectionId: string): Promise<void> {
    try {
      for await (const { changes } of client.watch(connectionId, this.#abort.signal)) {
        if (changes.length === 0) this.#arrivals.arrived('');
        for (const { record } of changes) this.#arrivals.arrived(record?.id ?? '');
      }
      throw new Error('the store ended the watch');
    } catch (error) {
      if (!(this.#abort.signal.aborted && isAbortError(error))) this.#arrivals.fail(error);
    }
  }
}
