import { CONNECTION_ADVICE, TidemarkError, transitionsOf, type ConnectionEvent } from '@tidemark/model';
import type { Connection, ConnectionKey } from './connection.js';
import type { Connections } from './connections.js';
import type { RunActions } from './run-actions.js';

/** Whether connections sync, and what that means for their runs. */
export class ConnectionStates {
  constructor(
    private readonly connections: Connections,
    private readonly actions: RunActions,
  ) {}

  /** The connection, whatever its state. Throws CONNECTION_NOT_FOUND. */
  async find(key: ConnectionKey): Promise<Connection> {
    const connection = await this.connections.find(key);
    if (connection === undefined) throw notFound();
    return connection;
  }

  /** The connection if it is not being deleted. Throws CONNECTION_NOT_FOUND. */
  async findLive(key: ConnectionKey): Promise<Connection> {
    const connection = await this.find(key);
    if (connection.state === 'DELETING')
      throw new TidemarkError('CONNECTION_NOT_FOUND', 'the connection is being deleted');
    return connection;
  }

  /** The connection if it syncs. Throws CONNECTION_NOT_FOUND, CONNECTION_PAUSED, SOURCE_CREDENTIALS_REJECTED, SOURCE_GONE. */
  async findActive(key: ConnectionKey): Promise<Connection> {
    const connection = await this.findLive(key);
    if (connection.state === 'PAUSED') {
      throw new TidemarkError('CONNECTION_PAUSED', `connection ${key.id} is paused; resume it first`);
    }
    if (connection.state === 'NEEDS_ATTENTION' || connection.state === 'DISABLED') {
      const [reason, what] =
        connection.state === 'DISABLED'
          ? (['SOURCE_GONE', 'is disabled'] as const)
          : (['SOURCE_CREDENTIALS_REJECTED', 'needs attention'] as const);
      const advice = CONNECTION_ADVICE[connection.state];
      throw new TidemarkError(reason, `connection ${key.id} ${what}: ${connection.stateReason}; ${advice}`);
    }
    return connection;
  }

  /** Pauses a connection: waiting runs at once, running ones at their next page. Safe to repeat. */
  async pause(key: ConnectionKey): Promise<Connection> {
    await this.findLive(key);
    await this.change(key, 'PAUSE', 'paused by a person');
    await this.actions.actOnAll(key, ['WAITING', 'RUNNING'], 'PAUSE');
    await this.resumeIfActive(key);
    return this.findLive(key);
  }

  /** Resumes a connection and its paused runs. Safe to repeat. */
  async resume(key: ConnectionKey): Promise<Connection> {
    await this.findLive(key);
    await this.change(key, 'RESUME', '');
    await this.resumeRuns(key);
    return this.findLive(key);
  }

  /** A connection that stood because of its settings has others now: it syncs again, unless a person paused it. */
  async updated(key: ConnectionKey): Promise<void> {
    if ((await this.change(key, 'UPDATE', '')) !== undefined) await this.resumeRuns(key);
  }

  /** Stops a connection whose source refuses it, until a person updates or resumes it. */
  async stand(
    key: ConnectionKey,
    event: 'CREDENTIALS_REJECTED' | 'SOURCE_GONE',
    reason: string,
  ): Promise<void> {
    if ((await this.change(key, event, reason)) === undefined) return;
    await this.actions.actOnAll(key, ['WAITING'], 'PAUSE');
    await this.resumeIfActive(key);
  }

  /**
   * For whoever paused runs because of what the connection's state was: if it was resumed meanwhile, that came too early
   * for these runs, and nothing else would ever resume them.
   */
  async resumeIfActive(key: ConnectionKey): Promise<void> {
    if ((await this.connections.stateOf(key)) === 'ACTIVE') await this.resumeRuns(key);
  }

  /** The connection in the state that an event leads to; undefined if it changes nothing. */
  private change(
    key: ConnectionKey,
    event: ConnectionEvent,
    reason: string,
  ): Promise<Connection | undefined> {
    const { from, to } = transitionsOf(event);
    return this.connections.changeState(key, from, to, reason);
  }

  /** Those too whose workers were asked to pause them and have not done so yet. */
  private async resumeRuns(key: ConnectionKey): Promise<void> {
    await this.actions.actOnAll(key, ['PAUSED', 'RUNNING', 'WAITING'], 'RESUME');
  }
}

/** The error for a connection that the tenant does not have; another tenant's looks the same. */
export function notFound(): TidemarkError {
  return new TidemarkError(
    'CONNECTION_NOT_FOUND',
    'no such connection; `tidemark connections list` shows those there are',
  );
}
