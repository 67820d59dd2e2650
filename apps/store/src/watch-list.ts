import { WatchStart, type WatchChangesRequest } from '@tidemark/contracts';
import { checkPosition, decodeCursor, isTidemarkError, TidemarkError } from '@tidemark/model';
import type { KeyObject } from 'node:crypto';
import type { MongoChangeFeed } from './mongo-change-feed.js';
import type { ConnectionDocument } from './mongo-collections.js';
import type { MongoConnections } from './mongo-connections.js';
import type { MongoRecordReader } from './mongo-record-reader.js';
import { expired } from './horizon.js';

const MAX_CONNECTIONS = 100;
const MAX_TENANT_CONNECTIONS = 10_000;
const RELIST_MS = 5_000;

/** A connection that is watched, and how far. */
export interface Watched {
  connection: ConnectionDocument;
  /** Everything up to this sequence was sent. */
  position: number;
  /** The feed's epoch in which the log was read to its end; until then the feed's head says nothing. */
  checkedEpoch: number;
  /** What the feed said of the connection's settings when they were read. */
  settings: string;
  lastSent: number;
  /** Whether its turn ended before it was up to date. */
  behind: boolean;
}

/** What finding the connections of a watch needs. */
export interface WatchListParts {
  readonly feed: MongoChangeFeed;
  readonly reader: MongoRecordReader;
  readonly connections: MongoConnections;
  readonly cursorKey: KeyObject;
}

/** The connections of one WatchChanges call: those named, or all of the tenant's, new ones included. */
export class WatchList {
  readonly #watched = new Map<string, Watched>();
  #listedAt = 0;

  constructor(
    readonly parts: WatchListParts,
    readonly tenantId: string,
    readonly request: WatchChangesRequest,
  ) {}

  get all(): Watched[] {
    return [...this.#watched.values()];
  }

  /** Whether it is of all the tenant's connections. */
  get ofTenant(): boolean {
    return this.request.connectionIds.length === 0;
  }

  /** How long until connections have to be looked for again, at most. */
  get pauseMs(): number {
    return this.ofTenant ? RELIST_MS : Infinity;
  }

  forget({ connection }: Watched): void {
    this.#watched.delete(connection._id);
  }

  /** Finds the connections to start with. Throws for a name, model or cursor that is none of the tenant's. */
  async start(): Promise<void> {
    const found = this.ofTenant ? await this.#list() : await this.#named();
    if (!this.ofTenant) this.#requireModels(found);
    const cursors = [...this.request.cursors];
    if (cursors.length > found.length) throw strayCursor();
    for (const connection of found) await this.#add(connection, cursors, true);
    if (cursors.length > 0) throw strayCursor();
  }

  /** Takes in the tenant's new connections, from their beginning, and lets go of those that are no more. */
  async refresh(): Promise<void> {
    if (!this.ofTenant || performance.now() - this.#listedAt < RELIST_MS) return;
    const found = await this.#list();
    for (const connection of found)
      if (!this.#watched.has(connection._id)) await this.#add(connection, [], false);
    const present = new Set(found.map(({ _id }) => _id));
    for (const watched of this.all) if (!present.has(watched.connection._id)) this.forget(watched);
  }

  /** Reads a connection again if it may have changed. Throws CONNECTION_NOT_FOUND, CURSOR_EXPIRED. */
  async renew(watched: Watched): Promise<void> {
    const settings = this.parts.feed.settingsState(watched.connection._id);
    if (settings === watched.settings) return;
    watched.connection = await this.parts.reader.current(watched.connection);
    watched.settings = settings;
    if (watched.position < watched.connection.horizon.history) throw expired();
  }

  async #list(): Promise<ConnectionDocument[]> {
    this.#listedAt = performance.now();
    return this.parts.connections.list(this.tenantId, MAX_TENANT_CONNECTIONS);
  }

  async #named(): Promise<ConnectionDocument[]> {
    const names = [...new Set(this.request.connectionIds)];
    if (names.length > MAX_CONNECTIONS) {
      throw new TidemarkError(
        'LIMIT_EXCEEDED',
        `at most ${MAX_CONNECTIONS} connections in one request; name none for all of the tenant's`,
      );
    }
    return Promise.all(names.map((name) => this.parts.connections.get(this.tenantId, name)));
  }

  /** A misspelt model would be a watch that never tells anything. */
  #requireModels(found: readonly ConnectionDocument[]): void {
    const known = new Set(found.flatMap(({ scope }) => scope.models.map(({ model }) => model)));
    if (!this.request.models.every((model) => known.has(model)))
      throw new TidemarkError('MODEL_NOT_FOUND', 'no connection watched has such a model in its scope');
  }

  async #add(connection: ConnectionDocument, cursors: string[], first: boolean): Promise<void> {
    const settings = this.parts.feed.settingsState(connection._id);
    const position = await this.#startOf(connection, cursors, first).catch((error: unknown) => {
      // Removed since it was listed.
      if (this.ofTenant && isTidemarkError(error, 'CONNECTION_NOT_FOUND')) return undefined;
      throw error;
    });
    if (position === undefined) return;
    const lastSent = performance.now();
    const watched = { connection, position, checkedEpoch: -1, settings, lastSent, behind: false };
    this.#watched.set(connection._id, watched);
  }

  async #startOf(connection: ConnectionDocument, cursors: string[], first: boolean): Promise<number> {
    const { seq } = await this.parts.reader.clock(connection._id);
    const owner = { tenantId: this.tenantId, connectionId: connection.name };
    for (const [index, cursor] of cursors.entries()) {
      const position = tryDecode(cursor, owner, this.parts.cursorKey);
      if (position === undefined) continue;
      checkPosition(position, connection._id, seq);
      cursors.splice(index, 1);
      if (position.sequence < connection.horizon.history) throw expired();
      return position.sequence;
    }
    const oldest = !first || this.request.start === WatchStart.FROM_OLDEST;
    return oldest ? connection.horizon.history : seq;
  }
}

function strayCursor(): TidemarkError {
  return new TidemarkError('CURSOR_INVALID', 'a cursor belongs to none of the connections watched');
}

function tryDecode(
  ...[cursor, owner, key]: Parameters<typeof decodeCursor>
): ReturnType<typeof decodeCursor> | undefined {
  try {
    return decodeCursor(cursor, owner, key);
  } catch (error) {
    if (isTidemarkError(error, 'CURSOR_INVALID')) return undefined;
    throw error;
  }
}
