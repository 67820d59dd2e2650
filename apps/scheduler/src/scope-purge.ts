import { delay, type Logger } from '@tidemark/runtime';
import { connectionKey, isSameConnection, type Connection } from './connection.js';
import type { Connections } from './connections.js';
import { removeOrphan } from './orphans.js';
import type { StoreClient } from './store-client.js';

/** How often a purge under way is noted, so that others leave it alone. */
const SIGN_OF_LIFE_MS = 10_000;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

/**
 * Brings changed scopes to effect on what the store holds already, in the background. Who asked need not wait: that a purge
 * is to be done stands in the connection, so that the janitor takes it up again after a crash. Several processes may do the
 * same one.
 */
export class ScopePurges {
  private readonly purges = new Map<string, Promise<void>>();
  /** Those asked for while they were under way: they may have looked for the last time already. */
  private readonly again = new Set<string>();
  private readonly stopping = new AbortController();

  constructor(
    private readonly connections: Pick<Connections, 'find' | 'stateOf' | 'touchPurge' | 'endPurge'>,
    private readonly store: Pick<StoreClient, 'openConnection' | 'applyScope' | 'removeConnection'>,
    private readonly logger: Logger,
  ) {}

  /** Starts a connection's purge, unless this process is at it already: then that one minds the newest scope, too. */
  start(connection: Connection): void {
    const key = connectionKey(connection);
    if (this.stopping.signal.aborted) return;
    if (this.purges.has(key)) {
      this.again.add(key);
      return;
    }
    const purge = this.carry(connection).finally(() => {
      this.purges.delete(key);
      if (this.again.delete(key)) this.start(connection);
    });
    this.purges.set(key, purge);
  }

  /** Resolves when this process works on no purge of the connection any more. */
  async idle(connection: Connection): Promise<void> {
    await this.purges.get(connectionKey(connection));
  }

  /** Leaves what is under way to others, or to the next start. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await Promise.all(this.purges.values());
  }

  /** Never throws. */
  private async carry(connection: Connection): Promise<void> {
    const subject = { connection: connectionKey(connection) };
    let failures = 0;
    for (;;) {
      try {
        if (!(await this.round(connection))) return;
        failures = 0;
      } catch (error) {
        if (this.stopping.signal.aborted) return;
        this.logger.warn({ ...subject, failures, error }, 'a purge broke off; it goes on in a moment');
        if (!(await this.wait(Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures)))) return;
        failures++;
      }
    }
  }

  /** Purges for the scope as it is now; false once there is nothing to do any more. */
  private async round(connection: Connection): Promise<boolean> {
    const now = await this.connections.find(connection);
    if (now?.purge === undefined || now.state === 'DELETING' || !isSameConnection(now, connection))
      return false;
    const subject = { connection: connectionKey(now), scope: now.scope.revision };
    const isPending = await this.store.openConnection(now, this.stopping.signal);
    // A deletion may have passed by before; then nobody else would close it again.
    await removeOrphan(now, this.connections, this.store);
    if (isPending) {
      this.logger.info(subject, 'purging what the scope no longer allows');
      await this.apply(now);
      this.logger.info(subject, 'purged what the scope no longer allows');
    }
    await this.connections.endPurge(now);
    return true;
  }

  private async apply(connection: Connection): Promise<void> {
    const signOfLife = setInterval(() => {
      this.connections
        .touchPurge(connection, new Date())
        .catch((error: unknown) => this.logger.debug({ error }, 'a purge under way could not be noted'));
    }, SIGN_OF_LIFE_MS);
    try {
      while (!(await this.store.applyScope(connection, this.stopping.signal)))
        this.stopping.signal.throwIfAborted();
    } finally {
      clearInterval(signOfLife);
    }
  }

  private async wait(ms: number): Promise<boolean> {
    try {
      await delay(ms, this.stopping.signal);
      return true;
    } catch (error) {
      if (this.stopping.signal.aborted) return false;
      throw error;
    }
  }
}
