import type { ConnectionState } from '@tidemark/model';
import type { CatalogueEntry, Connection, ConnectionKey } from './connection.js';

/** Where connections are kept. */
export interface Connections {
  /** Throws CONNECTION_EXISTS. */
  insert(connection: Connection): Promise<void>;
  find(key: ConnectionKey): Promise<Connection | undefined>;
  stateOf(key: ConnectionKey): Promise<ConnectionState | undefined>;
  /** A tenant's connections in order of id, after one of them; at most `limit`. */
  list(tenantId: string, limit: number, after?: string): Promise<Connection[]>;
  /** Replaces a connection as it was read; undefined if it was written since. */
  replace(connection: Connection): Promise<Connection | undefined>;
  /** Moves a connection from one of these states; undefined if it is in none of them. */
  changeState(
    key: ConnectionKey,
    from: readonly ConnectionState[],
    to: ConnectionState,
    reason: string,
  ): Promise<Connection | undefined>;
  setCatalogue(key: ConnectionKey, catalogue: readonly CatalogueEntry[]): Promise<void>;
  /** Notes that what a change asked for is done, unless a later change asks for more. */
  endSetup(key: ConnectionKey, since: Date): Promise<void>;
  /** The scope's revision now; undefined if there is no such connection. */
  scopeRevisionOf(key: ConnectionKey): Promise<number | undefined>;
  /** Notes that somebody is at work on a purge still. */
  touchPurge(connection: Connection, now: Date): Promise<void>;
  /** Notes that the purge for a connection's scope is done, unless a later scope asks for another. */
  endPurge(connection: Connection): Promise<void>;
  /** The connection whose retention has been due the longest; for others it is due at `until` again. Undefined if none is. */
  claimRetention(now: Date, until: Date): Promise<Connection | undefined>;
  /** Notes when retention is due again. */
  setRetainTime(connection: Connection, time: Date): Promise<void>;
  /** Removes a DELETING connection with its runs, cadences and leases. Nothing happens if another was made of its name since. */
  remove(connection: Connection): Promise<void>;
  /** Connections of any tenant that are being deleted, or whose setup or purge was left alone since before a time. */
  unfinished(before: { readonly setup: Date; readonly purge: Date }, limit: number): Promise<Connection[]>;
}
