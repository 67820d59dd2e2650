import { WatchStart, type WatchChangesRequest, type WatchChangesResponse } from '@tidemark/contracts';
import { checkPosition, decodeCursor, encodeCursor, isTidemarkError, TidemarkError } from '@tidemark/model';
import type { KeyObject } from 'node:crypto';
import type { FeedCommit } from './change-feed.js';
import type { MongoChangeFeed } from './mongo-change-feed.js';
import type { ConnectionDocument } from './mongo-collections.js';
import type { MongoConnections } from './mongo-connections.js';
import type { MongoRecordReader } from './mongo-record-reader.js';
import { toChangeMessage, toMarkerKind } from './record-messages.js';

const MAX_CONNECTIONS = 100;
const MAX_TENANT_CONNECTIONS = 10_000;
const RELIST_MS = 5_000;
const IDLE_MS = 8_000;
const CHUNK_CHANGES = 500;
const COMMITS_A_TURN = 20;
const CHUNK_BYTES = 1024 * 1024;

interface Watched {
  readonly connection: ConnectionDocument;
  position: number;
  /** The feed's epoch in which the log was read to its end; until then the feed's head says nothing. */
  checkedEpoch: number;
  lastSent: number;
  /** Whether its turn ended before it was up to date. */
  behind: boolean;
}

/**
 * One WatchChanges call (R18). Each connection's changes are read from the commit log after the watcher's own position,
 * replay and live alike, so there is no seam; the feed only says when there is more. A slow reader holds one chunk.
 */
export class ChangeWatch {
  readonly #watched = new Map<string, Watched>();
  readonly #models: ReadonlySet<string>;
  #listedAt = 0;
  #marker: number;

  constructor(
    readonly feed: MongoChangeFeed,
    readonly reader: MongoRecordReader,
    readonly connections: MongoConnections,
    readonly cursorKey: KeyObject,
    readonly tenantId: string,
    readonly request: WatchChangesRequest,
    readonly signal: AbortSignal,
  ) {
    this.#models = new Set(request.models);
    this.#marker = feed.markerNumber;
  }

  /** Changes, markers and watermarks until the signal aborts. */
  async *responses(): AsyncGenerator<WatchChangesResponse> {
    await this.#watchAll(true);
    for (const watched of [...this.#watched.values()])
      yield* this.#unlessRemoved(watched, () => this.#watermarks(watched));
    while (!this.signal.aborted) {
      const { state } = this.feed.wakeUps;
      // Markers that come while changes are sent wait a round: what they tell of lies behind those changes.
      const marker = this.feed.markerNumber;
      let busy = false;
      for (const watched of [...this.#watched.values()]) {
        yield* this.#unlessRemoved(watched, () => this.#advance(watched));
        busy ||= watched.behind;
      }
      if (!busy) yield* this.#markers(marker);
      for (const watched of [...this.#watched.values()]) {
        const idle = performance.now() - watched.lastSent >= IDLE_MS;
        if (idle) yield* this.#unlessRemoved(watched, () => this.#watermarks(watched));
      }
      if (!busy) await this.feed.wakeUps.sleep(state, this.#pause(), this.signal);
      await this.#watchAll(false);
    }
  }

  /** In a watch of all the tenant's connections, the removal of one ends nothing but its own part. */
  async *#unlessRemoved(
    watched: Watched,
    responses: () => AsyncGenerator<WatchChangesResponse>,
  ): AsyncGenerator<WatchChangesResponse> {
    try {
      yield* responses();
    } catch (error) {
      if (this.request.connectionIds.length > 0 || !isTidemarkError(error, 'CONNECTION_NOT_FOUND'))
        throw error;
      watched.behind = false;
      this.#watched.delete(watched.connection._id);
    }
  }

  #pause(): number {
    const idle = Math.min(
      ...[...this.#watched.values()].map(({ lastSent }) => lastSent + IDLE_MS - performance.now()),
      IDLE_MS,
    );
    const relist = this.request.connectionIds.length === 0 ? RELIST_MS : IDLE_MS;
    return Math.max(10, Math.min(idle, relist));
  }

  /** Watches the connections asked for; where all of the tenant's are, new ones join from their beginning. */
  async #watchAll(first: boolean): Promise<void> {
    const { connectionIds } = this.request;
    if (!first && (connectionIds.length > 0 || performance.now() - this.#listedAt < RELIST_MS))
      return this.#checkRemoved();
    this.#listedAt = performance.now();
    const found =
      connectionIds.length > 0
        ? await this.#named()
        : await this.connections.list(this.tenantId, MAX_TENANT_CONNECTIONS);
    if (first && connectionIds.length > 0) this.#requireModels(found);
    const cursors = first ? [...this.request.cursors] : [];
    if (cursors.length > found.length) throw strayCursor();
    for (const connection of found) {
      if (this.#watched.has(connection._id)) continue;
      const position = await this.#startOf(connection, cursors, first);
      if (position === undefined) continue;
      this.#watched.set(connection._id, {
        connection,
        position,
        checkedEpoch: -1,
        lastSent: performance.now(),
        behind: false,
      });
    }
    if (cursors.length > 0) {
      throw strayCursor();
    }
    if (connectionIds.length === 0) this.#forget(new Set(found.map(({ _id }) => _id)));
  }

  /** A misspelt model would be a watch that never tells anything. */
  #requireModels(found: readonly ConnectionDocument[]): void {
    const known = new Set(found.flatMap(({ scope }) => scope.models.map(({ model }) => model)));
    if (![...this.#models].every((model) => known.has(model)))
      throw new TidemarkError('MODEL_NOT_FOUND', 'no connection watched has such a model in its scope');
  }

  #forget(present: ReadonlySet<string>): void {
    for (const uid of this.#watched.keys()) if (!present.has(uid)) this.#watched.delete(uid);
  }

  async #checkRemoved(): Promise<void> {
    if (this.request.connectionIds.length === 0 || performance.now() - this.#listedAt < RELIST_MS) return;
    this.#listedAt = performance.now();
    await this.#named();
  }

  async #named(): Promise<ConnectionDocument[]> {
    const names = [...new Set(this.request.connectionIds)];
    if (names.length > MAX_CONNECTIONS) {
      throw new TidemarkError(
        'LIMIT_EXCEEDED',
        `at most ${MAX_CONNECTIONS} connections in one request; name none for all of the tenant's`,
      );
    }
    return Promise.all(names.map((name) => this.connections.get(this.tenantId, name)));
  }

  /** Where to start with a connection; undefined if it was removed since it was listed. */
  async #startOf(
    connection: ConnectionDocument,
    cursors: string[],
    first: boolean,
  ): Promise<number | undefined> {
    const clock = await this.reader.clock(connection._id).catch((error: unknown) => this.#ifListed(error));
    if (clock === undefined) return undefined;
    const { seq } = clock;
    const owner = { tenantId: this.tenantId, connectionId: connection.name };
    for (const [index, cursor] of cursors.entries()) {
      const position = tryDecode(cursor, owner, this.cursorKey);
      if (position === undefined) continue;
      checkPosition(position, connection._id, seq);
      cursors.splice(index, 1);
      return position.sequence;
    }
    return !first || this.request.start === WatchStart.FROM_OLDEST ? 0 : seq;
  }

  #ifListed(error: unknown): undefined {
    if (this.request.connectionIds.length > 0 || !isTidemarkError(error, 'CONNECTION_NOT_FOUND')) throw error;
  }

  /** Sends what is new of a connection; after a number of commits the others have their turn. */
  async *#advance(watched: Watched): AsyncGenerator<WatchChangesResponse> {
    const uid = watched.connection._id;
    watched.behind = false;
    for (let commits = 0; !this.signal.aborted; commits++) {
      if (commits === COMMITS_A_TURN) {
        watched.behind = true;
        return;
      }
      const { epoch } = this.feed;
      const head = this.feed.head(uid);
      const upToDate = watched.checkedEpoch === epoch && (head === undefined || head <= watched.position);
      if (upToDate) return;
      const commit = await this.feed.next(uid, watched.position);
      if (commit === undefined) {
        watched.checkedEpoch = epoch;
        return;
      }
      yield* this.#chunks(watched, commit);
    }
  }

  *#chunks(watched: Watched, commit: FeedCommit): Generator<WatchChangesResponse> {
    const before = new Date(commit.at.getTime() - 1);
    let response = this.#response(watched, before);
    let bytes = 0;
    for (const change of this.#wanted(commit) ? commit.changes : []) {
      if (change.sequence <= watched.position) continue;
      if (response.changes.length >= CHUNK_CHANGES || bytes >= CHUNK_BYTES) {
        yield this.#sent(watched, response);
        response = this.#response(watched, before);
        bytes = 0;
      }
      response.changes.push(toChangeMessage(change, commit, watched.connection.name));
      bytes += change.payload?.byteLength ?? 0;
      watched.position = change.sequence;
      response.cursor = this.#cursor(watched);
    }
    watched.position = commit.last;
    if (response.changes.length === 0) return;
    response.completeThrough = commit.at;
    response.cursor = this.#cursor(watched);
    yield this.#sent(watched, response);
  }

  #wanted(commit: FeedCommit): boolean {
    return this.#models.size === 0 || this.#models.has(commit.model);
  }

  *#markers(upTo: number): Generator<WatchChangesResponse> {
    for (const { number, marker } of this.feed.markersAfter(this.#marker)) {
      if (number > upTo) return;
      this.#marker = number;
      const watched = this.#watched.get(marker.uid);
      if (!watched || (this.#models.size > 0 && !this.#models.has(marker.model))) continue;
      const { kind, model, runId } = marker;
      yield { ...this.#response(watched, undefined), marker: { kind: toMarkerKind(kind), model, runId } };
    }
  }

  async *#watermarks(watched: Watched): AsyncGenerator<WatchChangesResponse> {
    const clock = await this.reader.clock(watched.connection._id);
    // Ahead of the position there are changes still to send, and the clock says nothing of what was sent.
    yield this.#sent(watched, this.#response(watched, clock.seq === watched.position ? clock.at : undefined));
  }

  #sent(watched: Watched, response: WatchChangesResponse): WatchChangesResponse {
    watched.lastSent = performance.now();
    return response;
  }

  #response(watched: Watched, completeThrough: Date | undefined): WatchChangesResponse {
    const { name } = watched.connection;
    return {
      connectionId: name,
      changes: [],
      cursor: this.#cursor(watched),
      completeThrough,
      marker: undefined,
    };
  }

  #cursor({ connection, position }: Watched): string {
    const owner = { tenantId: this.tenantId, connectionId: connection.name };
    return encodeCursor({ generation: connection._id, sequence: position }, owner, this.cursorKey);
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
