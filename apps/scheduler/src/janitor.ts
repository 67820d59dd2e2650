import type { Logger } from '@tidemark/runtime';
import { connectionKey, type Connection } from './connection.js';
import type { ConnectionRemoval } from './connection-removal.js';
import type { ConnectionSetup } from './connection-setup.js';
import type { Connections } from './connections.js';

const INTERVAL_MS = 60_000;
/** Longer than any call: a setup still under way is not to be done twice. */
const SETUP_AGE_MS = 180_000;
const BATCH = 100;

/** Ends what a crash left half-done: connections being deleted, and changes not brought to effect. */
export class Janitor {
  private timer: NodeJS.Timeout | undefined;
  private sweeping: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(
    private readonly connections: Connections,
    private readonly setup: ConnectionSetup,
    private readonly removal: ConnectionRemoval,
    private readonly logger: Logger,
  ) {}

  start(): void {
    this.sweeping = this.sweep();
    this.timer = setInterval(() => {
      this.sweeping = this.sweeping.then(() => this.sweep());
    }, INTERVAL_MS);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.sweeping;
  }

  private async sweep(): Promise<void> {
    try {
      for (const connection of await this.connections.unfinished(
        new Date(Date.now() - SETUP_AGE_MS),
        BATCH,
      )) {
        if (this.stopped) return;
        await this.finish(connection);
      }
    } catch (error) {
      this.logger.warn({ error }, 'unfinished connections could not be looked for');
    }
  }

  private async finish(connection: Connection): Promise<void> {
    const subject = { connection: connectionKey(connection), state: connection.state };
    try {
      if (connection.state === 'DELETING') await this.removal.finish(connection);
      else await this.setup.complete(connection);
      this.logger.info(subject, 'finished what was left half-done');
    } catch (error) {
      this.logger.warn({ ...subject, error }, 'could not finish what was left half-done; it is tried again');
    }
  }
}
