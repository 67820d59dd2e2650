import { WatchStart, type WatchChangesRequest } from '@tidemark/contracts';
import { checkPosition, decodeCursor, isTidemarkError, TidemarkError } from '@tidemark/model';
import type { KeyObject } from 'node:crypto';
import { News } from './feed-followers.js';
import { expired } from './horizon.js';
import type { MongoChangeFeed } from './mongo-change-feed.js';
import type { ClockDocument, ConnectionDocument } from './mongo-collections.js';
import { notFound, type MongoConnections } from './mongo-connections.js';
import type { MongoRecordReader } from './mongo-record-reader.js';

const MAX_CONNECTIONS = 100;
const MAX_TENANT_CONNECTIONS = 10_000;
const RELIST_MS = 5_000;
const NEVER = -1;

/** A connection that is watched, and how far. */
export interface Watched {
  connection: ConnectionDocument;
  /** The feed's count of changes before the connection was read. */
  readAt: number;
  /** Everything up to this sequence was sent. */
  position: number;
  /** The feed's epoch in which the log was read to its end; until then the feed's head says nothing. */
  checkedEpoch: number;
  lastSent: number;
}

/** What finding the connections of a watch needs. */
export interface WatchListParts {
  readonly feed: MongoChangeFeed;
  readonly reader: MongoRecordReader;
  readonly connections: MongoConnections;
  readonly cursorKey: KeyObject;
}

/** The connections of one WatchChanges call: those named, or all of the tenant's, new ones included. Follows their news. */
export class WatchList {
  /** In the order in which something was last sent. */
  readonly #watched = new Map<string, Watched>();
  readonly #followed = new Set<string>();
  readonly #news = new News();
  #listedAt = 0;
  #listedChanges = NEVER;

  constructor(
    readonly parts: WatchListParts,
    readonly tenantId: string,
    readonly request: WatchChangesRequest,
  ) {}

  /** Whether it is of all the tenant's connections. */
  get ofTenant(): boolean {
    return this.request.connectionIds.length === 0;
  }

  /**
   * Finds the connections to start with, each with its clock. Throws for a name, model or cursor that is none of the
   * tenant's. Whatever comes of it, `end` has to be called.
   */
  async start(): Promise<(readonly [Watched, ClockDocument])[]> {
    await this.parts.feed.attach();
    const { changes } = this.parts.feed;
    const found = this.ofTenant ? await this.#list() : await this.#named();
    if (!this.ofTenant) this.#requireModels(found);
    const cursors = [...this.request.cursors];
    if (cursors.length > found.length) throw strayCursor();
    const started = await this.#add(found, changes, (connection, seq) =>
      this.#startOf(connection, seq, cursors),
    );
    if (cursors.length > 0) throw strayCursor();
    return started;
  }

  /** Follows no connection any more. */
  end(): void {
    for (const uid of this.#followed) this.parts.feed.unfollow(uid, this.#news);
    this.parts.feed.detach();
  }

  forget({ connection: { _id: uid } }: Watched): void {
    this.#watched.delete(uid);
    this.#unfollow(uid);
  }

  /** Those that there is news of; they count as looked at. */
  takeNews(): Watched[] {
    return [...this.#news.take()].flatMap((uid) => this.#watched.get(uid) ?? []);
  }

  /** Has a connection among the next news, and its log read to the end whatever the feed says. */
  lookAgain(watched: Watched): void {
    watched.checkedEpoch = NEVER;
    this.#news.tell(watched.connection._id);
  }

  /** Resolves when there is news, after `ms`, when the tenant's connections are due to be listed, or when the signal aborts. */
  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    const due = this.ofTenant ? this.#listedAt + RELIST_MS - performance.now() : Infinity;
    await this.#news.sleep(Math.max(0, Math.min(ms, due)), signal);
  }

  /** Something was sent of a connection. */
  sent(watched: Watched): void {
    const uid = watched.connection._id;
    watched.lastSent = performance.now();
    if (this.#watched.delete(uid)) this.#watched.set(uid, watched);
  }

  /** Those of which nothing was sent since a moment, at most so many. */
  silentSince(moment: number, most: number): Watched[] {
    const silent: Watched[] = [];
    for (const watched of this.#watched.values()) {
      if (watched.lastSent > moment || silent.length === most) break;
      silent.push(watched);
    }
    return silent;
  }

  /** When something was sent of the one that has been silent for longest. */
  get longestSilence(): number {
    for (const { lastSent } of this.#watched.values()) return lastSent;
    return Infinity;
  }

  /** Takes in the tenant's new connections, from their beginning, and lets go of those that are no more. */
  async refresh(): Promise<void> {
    if (!this.ofTenant || performance.now() - this.#listedAt < RELIST_MS) return;
    const { changes } = this.parts.feed;
    if (changes === this.#listedChanges) {
      this.#listedAt = performance.now();
      return;
    }
    const found = await this.#list();
    const present = new Set(found.map(({ _id }) => _id));
    for (const watched of [...this.#watched.values()])
      if (!present.has(watched.connection._id)) this.forget(watched);
    const fresh = found.filter(({ _id }) => !this.#watched.has(_id));
    if (fresh.length > 0) await this.#add(fresh, changes, ({ horizon }) => horizon.history);
  }

  /** Whether a connection may have changed since it was read. */
  isOutdated({ connection, readAt }: Watched): boolean {
    return this.parts.feed.hasChanged(connection._id, readAt);
  }

  /** Reads a connection again. Throws CONNECTION_NOT_FOUND, CURSOR_EXPIRED. */
  async renew(watched: Watched): Promise<void> {
    const { changes } = this.parts.feed;
    watched.connection = await this.parts.reader.current(watched.connection);
    watched.readAt = changes;
    if (watched.position < watched.connection.horizon.history) throw expired();
  }

  async #list(): Promise<ConnectionDocument[]> {
    this.#listedAt = performance.now();
    this.#listedChanges = this.parts.feed.changes;
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

  /** Follows connections before their clocks are read: whatever lands after is told. */
  async #add(
    found: readonly ConnectionDocument[],
    readAt: number,
    startOf: (connection: ConnectionDocument, seq: number) => number,
  ): Promise<(readonly [Watched, ClockDocument])[]> {
    const { feed, reader } = this.parts;
    for (const { _id: uid } of found) this.#follow(uid);
    const { epoch } = feed;
    const clocks = await reader.clocks(found.map(({ _id }) => _id));
    return found.flatMap((connection) => {
      const clock = clocks.get(connection._id);
      if (clock === undefined) {
        // Removed since it was listed.
        if (!this.ofTenant) throw notFound();
        this.#unfollow(connection._id);
        return [];
      }
      const position = startOf(connection, clock.seq);
      const isAtEnd = position === clock.seq;
      const checkedEpoch = isAtEnd ? epoch : NEVER;
      const watched = { connection, readAt, position, checkedEpoch, lastSent: performance.now() };
      this.#watched.set(connection._id, watched);
      if (!isAtEnd || this.isOutdated(watched)) this.lookAgain(watched);
      return [[watched, clock] as const];
    });
  }

  #follow(uid: string): void {
    this.#followed.add(uid);
    this.parts.feed.follow(uid, this.#news);
  }

  #unfollow(uid: string): void {
    this.#followed.delete(uid);
    this.parts.feed.unfollow(uid, this.#news);
  }

  #startOf(connection: ConnectionDocument, seq: number, cursors: string[]): number {
    const owner = { tenantId: this.tenantId, connectionId: connection.name };
    for (const [index, cursor] of cursors.entries()) {
      const position = tryDecode(cursor, owner, this.parts.cursorKey);
      if (position === undefined) continue;
      checkPosition(position, connection._id, seq);
      cursors.splice(index, 1);
      if (position.sequence < connection.horizon.history) throw expired();
      return position.sequence;
    }
    return this.request.start === WatchStart.FROM_OLDEST ? connection.horizon.history : seq;
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
