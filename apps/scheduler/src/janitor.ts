import type { Logger } from '@tidemark/runtime';
import { connectionKey, type Connection } from './connection.js';
import type { ConnectionRemoval } from './connection-removal.js';
import type { ConnectionSetup } from './connection-setup.js';
import type { Connections } from './connections.js';
import type { ScopePurges } from './scope-purge.js';

const INTERVAL_MS = 60_000;
/** Longer than any call: a setup still under way is not to be done twice. */
const SETUP_AGE_MS = 180_000;
/** Whoever works on a purge says so every 10 s. */
const PURGE_AGE_MS = 30_000;
const BATCH = 100;

/** Ends what a crash left half-done: connections being deleted, changes not brought to effect, and purges. */
export class Janitor {
  private timer: NodeJS.Timeout | undefined;
  private sweeping: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(
    private readonly connections: Connections,
    private readonly setup: ConnectionSetup,
    private readonly removal: ConnectionRemoval,
    private readonly purges: ScopePurges,
    private readonly logger: Logger,
  ) {}

  start(): void {
    // Nobody may be at work on a purge if this process is the only one; if another is, two do no harm.
    this.sweeping = this.sweep(0);
    this.timer = setInterval(() => {
      this.sweeping = this.sweeping.then(() => this.sweep());
    }, INTERVAL_MS);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.sweeping;
  }

  private async sweep(purgeAgeMs = PURGE_AGE_MS): Promise<void> {
    const setup = new Date(Date.now() - SETUP_AGE_MS);
    const purge = new Date(Date.now() - purgeAgeMs);
    try {
      for (const connection of await this.connections.unfinished({ setup, purge }, BATCH)) {
        if (this.stopped) return;
        if (connection.state === 'DELETING') await this.finish(connection);
        else {
          if (connection.setup !== undefined && connection.setup.since < setup) await this.finish(connection);
          if (connection.purge !== undefined && connection.purge.since < purge) this.purges.start(connection);
        }
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
