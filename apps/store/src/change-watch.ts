import type { Change, WatchChangesResponse } from '@tidemark/contracts';
import { encodeCursor, isTidemarkError } from '@tidemark/model';
import type { FeedCommit } from './change-feed.js';
import type { ClockDocument } from './mongo-collections.js';
import { notFound } from './mongo-connections.js';
import { toChangeMessage, toMarkerKind } from './record-messages.js';
import type { Watched, WatchList } from './watch-list.js';

const IDLE_MS = 8_000;
const WATERMARKS_A_TURN = 1_000;
const CHUNK_CHANGES = 500;
const COMMITS_A_TURN = 20;
const CHUNK_BYTES = 1024 * 1024;

/** What a response carries beside where it is of. */
type Content = Partial<Pick<WatchChangesResponse, 'changes' | 'marker' | 'completeThrough'>>;

/**
 * One WatchChanges call (R18). Each connection's changes and markers are taken from the commit log after the watcher's own
 * position, replay and live alike, so there is no seam; the feed only says when there is more. A slow reader holds one chunk.
 */
export class ChangeWatch {
  readonly #models: ReadonlySet<string>;

  constructor(
    readonly list: WatchList,
    readonly signal: AbortSignal,
  ) {
    this.#models = new Set(list.request.models);
  }

  /** Changes, markers and watermarks until the signal aborts. */
  async *responses(): AsyncGenerator<WatchChangesResponse> {
    const { list, signal } = this;
    try {
      for (const [watched, clock] of await list.start()) yield this.#watermark(watched, clock);
      while (!signal.aborted) {
        for (const watched of list.takeNews())
          yield* this.#unlessRemoved(watched, () => this.#advance(watched));
        yield* this.#watermarks();
        await list.sleep(Math.min(IDLE_MS, list.longestSilence + IDLE_MS - performance.now()), signal);
        await list.refresh();
      }
    } finally {
      list.end();
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
      if (!this.list.ofTenant || !isTidemarkError(error, 'CONNECTION_NOT_FOUND')) throw error;
      this.list.forget(watched);
    }
  }

  /** Sends what is new of a connection; after a number of commits the others have their turn. */
  async *#advance(watched: Watched): AsyncGenerator<WatchChangesResponse> {
    const { list } = this;
    const { feed } = list.parts;
    for (let commits = 0; !this.signal.aborted; commits++) {
      if (commits === COMMITS_A_TURN) return list.lookAgain(watched);
      if (list.isOutdated(watched)) await list.renew(watched);
      const { epoch } = feed;
      const head = feed.head(watched.connection._id) ?? 0;
      if (watched.checkedEpoch === epoch && head <= watched.position) return;
      const commit = await this.#next(watched);
      if (commit === undefined) {
        watched.checkedEpoch = epoch;
        return;
      }
      yield* this.#send(watched, commit);
    }
  }

  async #next(watched: Watched): Promise<FeedCommit | undefined> {
    const { feed } = this.list.parts;
    const wants = (model: string): boolean => this.#wants(watched, model);
    try {
      return await feed.next(watched.connection, watched.position, wants);
    } catch (error) {
      if (!isTidemarkError(error, 'MODEL_NOT_FOUND')) throw error;
      // A model was purged since the connection was read. Of the connection as it is now there is nothing of it to tell.
      await this.list.renew(watched);
      return feed.next(watched.connection, watched.position, wants);
    }
  }

  *#send(watched: Watched, commit: FeedCommit): Generator<WatchChangesResponse> {
    const isWanted = this.#wants(watched, commit.model);
    const before = new Date(commit.at.getTime() - 1);
    let changes: Change[] = [];
    let bytes = 0;
    for (const change of isWanted ? commit.changes : []) {
      if (change.sequence <= watched.position) continue;
      if (changes.length >= CHUNK_CHANGES || bytes >= CHUNK_BYTES) {
        yield this.#response(watched, { changes, completeThrough: before });
        changes = [];
        bytes = 0;
      }
      changes.push(toChangeMessage(change, commit, watched.connection.name));
      bytes += change.payload?.byteLength ?? 0;
      watched.position = change.sequence;
    }
    watched.position = commit.last;
    const { mark, model, runId, at } = commit;
    const marker = isWanted && mark !== undefined ? { kind: toMarkerKind(mark), model, runId } : undefined;
    if (changes.length > 0 || marker !== undefined)
      yield this.#response(watched, { changes, marker, completeThrough: at });
  }

  /** Whether it is of a model asked for and in scope; what concerns the whole connection names none. */
  #wants({ connection }: Watched, model: string): boolean {
    if (model === '') return true;
    const inScope = connection.scope.models.some((entry) => entry.model === model);
    return inScope && (this.#models.size === 0 || this.#models.has(model));
  }

  /** One for each connection of which nothing was sent for a while. They also find news that were not told. */
  async *#watermarks(): AsyncGenerator<WatchChangesResponse> {
    const { list } = this;
    const silent = list.silentSince(performance.now() - IDLE_MS, WATERMARKS_A_TURN);
    if (silent.length === 0) return;
    const clocks = await list.parts.reader.clocks(silent.map(({ connection }) => connection._id));
    for (const watched of silent) {
      const clock = clocks.get(watched.connection._id);
      if (clock !== undefined) {
        if (clock.seq > watched.position) list.lookAgain(watched);
        yield this.#watermark(watched, clock);
      } else if (list.ofTenant) list.forget(watched);
      else throw notFound();
    }
  }

  #watermark(watched: Watched, clock: ClockDocument): WatchChangesResponse {
    // Ahead of the position there are changes still to send, and the clock says nothing of what was sent.
    return this.#response(watched, clock.seq === watched.position ? { completeThrough: clock.at } : {});
  }

  #response(watched: Watched, { changes = [], marker, completeThrough }: Content): WatchChangesResponse {
    const { connection, position } = watched;
    this.list.sent(watched);
    const owner = { tenantId: this.list.tenantId, connectionId: connection.name };
    const at = { generation: connection._id, sequence: position, since: position };
    const cursor = encodeCursor(at, owner, this.list.parts.cursorKey);
    return { connectionId: connection.name, changes, cursor, completeThrough, marker };
  }
}
