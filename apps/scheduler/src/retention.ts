import { isTidemarkError, nextDaily } from '@tidemark/model';
import { delay, type Logger } from '@tidemark/runtime';
import { connectionKey, type Connection } from './connection.js';
import type { Connections } from './connections.js';
import type { StoreClient } from './store-client.js';

const INTERVAL_MS = 60_000;
/** A connection that a process died over is taken up again this much later. Longer than any call to the store. */
const CLAIM_MS = 10 * 60_000;
/** A connection with much to remove lets others go first after so long. */
const TURN_MS = 5 * 60_000;
const RETRY_MS = 60 * 60_000;

/** Applies retention to every connection once a day, one at a time in each process. */
export class Retention {
  private readonly stopping = new AbortController();
  private loop: Promise<void> = Promise.resolve();

  constructor(
    private readonly connections: Pick<Connections, 'claimRetention' | 'setRetainTime'>,
    private readonly store: Pick<StoreClient, 'applyRetention'>,
    private readonly logger: Logger,
  ) {}

  start(): void {
    this.loop = this.follow();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loop;
  }

  private async follow(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      try {
        await this.sweep();
      } catch (error) {
        if (!signal.aborted) this.logger.warn({ error }, 'retention could not be looked after');
      }
      await delay(INTERVAL_MS, signal).catch(() => undefined);
    }
  }

  /** Applies retention to those connections for which it is due. */
  async sweep(now: () => Date = () => new Date()): Promise<void> {
    while (!this.stopping.signal.aborted) {
      const time = now();
      const connection = await this.connections.claimRetention(time, new Date(time.getTime() + CLAIM_MS));
      if (connection === undefined) return;
      await this.connections.setRetainTime(connection, await this.turn(connection, now));
    }
  }

  /** One connection's turn; gives back when the next one is. */
  private async turn(connection: Connection, now: () => Date): Promise<Date> {
    const name = connectionKey(connection);
    try {
      const done = await this.apply(connection, now);
      return done ? nextDaily(now(), name) : now();
    } catch (error) {
      if (this.stopping.signal.aborted) return now();
      // Not opened in the store yet: it holds nothing.
      if (isTidemarkError(error, 'CONNECTION_NOT_FOUND')) return nextDaily(now(), name);
      this.logger.warn({ connection: name, error }, 'retention could not be applied; it is tried again');
      return new Date(now().getTime() + RETRY_MS);
    }
  }

  /** False if there is more to remove than one turn may take. */
  private async apply(connection: Connection, now: () => Date): Promise<boolean> {
    const end = now().getTime() + TURN_MS;
    let [versions, tombstones] = [0n, 0n];
    for (;;) {
      const response = await this.store.applyRetention(connection, this.stopping.signal);
      versions += response.removedVersions;
      tombstones += response.removedTombstones;
      if (!response.done && now().getTime() < end) continue;
      const counts = { versions: Number(versions), tombstones: Number(tombstones), done: response.done };
      if (versions + tombstones > 0n)
        this.logger.info({ connection: connectionKey(connection), ...counts }, 'retention applied');
      return response.done;
    }
  }
}
