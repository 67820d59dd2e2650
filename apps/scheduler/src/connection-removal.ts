import { setTimeout as sleep } from 'node:timers/promises';
import { transitionsOf } from '@tidemark/model';
import { connectionKey, isSameConnection, type Connection, type ConnectionKey } from './connection.js';
import type { Connections } from './connections.js';
import { notFound } from './connection-states.js';
import type { RunActions } from './run-actions.js';
import type { Runs } from './runs.js';
import type { Schedules } from './schedules.js';
import type { StoreClient } from './store-client.js';

/** How long running runs get to reach a page boundary. Beyond it the store fences them: it knows their connection no more. */
const PATIENCE_MS = 5_000;
const LOOK_MS = 100;

/** Deletes connections with all they hold, in steps that are each safe to repeat. */
export class ConnectionRemoval {
  private readonly removals = new Map<string, Promise<number>>();

  constructor(
    private readonly connections: Connections,
    private readonly runs: Runs,
    private readonly actions: RunActions,
    private readonly schedules: Pick<Schedules, 'remove'>,
    private readonly store: StoreClient,
  ) {}

  /** Ends the deletion of a connection that is being deleted, unless that has ended meanwhile. */
  async finish(connection: Connection): Promise<void> {
    if (await this.isDeleting(connection)) await this.remove(connection, connection.stateReason);
  }

  /** Deletes a connection; returns how many records went. Goes on when the caller does not wait. Throws CONNECTION_NOT_FOUND. */
  async remove(key: ConnectionKey, reason = 'deleted by a person'): Promise<number> {
    const name = connectionKey(key);
    let removal = this.removals.get(name);
    if (removal === undefined) {
      removal = this.removeOnce(key, reason).finally(() => this.removals.delete(name));
      this.removals.set(name, removal);
    }
    return removal;
  }

  private async removeOnce(key: ConnectionKey, reason: string): Promise<number> {
    const { from, to } = transitionsOf('DELETE');
    const deleting = await this.connections.changeState(key, from, to, reason);
    if (deleting === undefined) throw notFound();
    await this.schedules.remove(key);
    await this.actions.actOnAll(key, ['WAITING', 'RUNNING', 'PAUSED', 'HELD'], 'CANCEL');
    const deadline = Date.now() + PATIENCE_MS;
    while ((await this.runs.inStates(key, ['RUNNING'])).length > 0 && Date.now() < deadline)
      await sleep(LOOK_MS);
    // Another process may do the same, and be faster: what then has this name is not ours to delete.
    const removed = await this.store.removeConnection(key, () => this.isDeleting(deleting));
    await this.connections.remove(deleting);
    return removed;
  }

  private async isDeleting(connection: Connection): Promise<boolean> {
    const now = await this.connections.find(connection);
    return now?.state === 'DELETING' && isSameConnection(now, connection);
  }
}
