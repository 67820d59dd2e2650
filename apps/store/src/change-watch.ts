import type { WatchChangesResponse } from '@tidemark/contracts';
import { encodeCursor, isTidemarkError } from '@tidemark/model';
import type { FeedCommit } from './change-feed.js';
import { toChangeMessage, toMarkerKind } from './record-messages.js';
import type { Watched, WatchList } from './watch-list.js';

const IDLE_MS = 8_000;
const CHUNK_CHANGES = 500;
const COMMITS_A_TURN = 20;
const CHUNK_BYTES = 1024 * 1024;

/**
 * One WatchChanges call (R18). Each connection's changes and markers are read from the commit log after the watcher's own
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
    const { wakeUps } = list.parts.feed;
    await list.start();
    for (const watched of list.all) yield* this.#unlessRemoved(watched, () => this.#watermark(watched));
    while (!signal.aborted) {
      const { state } = wakeUps;
      let busy = false;
      for (const watched of list.all) {
        yield* this.#unlessRemoved(watched, () => this.#advance(watched));
        busy ||= watched.behind;
      }
      for (const watched of list.all) {
        const idle = performance.now() - watched.lastSent >= IDLE_MS;
        if (idle) yield* this.#unlessRemoved(watched, () => this.#watermark(watched));
      }
      if (!busy) await wakeUps.sleep(state, this.#pause(), signal);
      await list.refresh();
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
      watched.behind = false;
      this.list.forget(watched);
    }
  }

  #pause(): number {
    const idle = this.list.all.map(({ lastSent }) => lastSent + IDLE_MS - performance.now());
    return Math.max(10, Math.min(IDLE_MS, this.list.pauseMs, ...idle));
  }

  /** Sends what is new of a connection; after a number of commits the others have their turn. */
  async *#advance(watched: Watched): AsyncGenerator<WatchChangesResponse> {
    const { feed } = this.list.parts;
    const uid = watched.connection._id;
    watched.behind = false;
    for (let commits = 0; !this.signal.aborted; commits++) {
      if (commits === COMMITS_A_TURN) {
        watched.behind = true;
        return;
      }
      await this.list.renew(watched);
      const { epoch } = feed;
      const head = feed.head(uid);
      const upToDate = watched.checkedEpoch === epoch && (head === undefined || head <= watched.position);
      if (upToDate) return;
      const commit = await feed.next(watched.connection, watched.position);
      if (commit === undefined) {
        watched.checkedEpoch = epoch;
        return;
      }
      yield* this.#send(watched, commit);
    }
  }

  *#send(watched: Watched, commit: FeedCommit): Generator<WatchChangesResponse> {
    const before = new Date(commit.at.getTime() - 1);
    let response = this.#response(watched, before);
    let bytes = 0;
    for (const change of this.#wanted(watched, commit) ? commit.changes : []) {
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
    const { mark, model, runId } = commit;
    if (mark !== undefined && this.#wanted(watched, commit))
      response.marker = { kind: toMarkerKind(mark), model, runId };
    if (response.changes.length === 0 && response.marker === undefined) return;
    response.completeThrough = commit.at;
    response.cursor = this.#cursor(watched);
    yield this.#sent(watched, response);
  }

  /** Whether it is of a model asked for and in scope; what concerns the whole connection names none. */
  #wanted({ connection }: Watched, { model }: FeedCommit): boolean {
    if (model === '') return true;
    const inScope = connection.scope.models.some((entry) => entry.model === model);
    return inScope && (this.#models.size === 0 || this.#models.has(model));
  }

  async *#watermark(watched: Watched): AsyncGenerator<WatchChangesResponse> {
    const clock = await this.list.parts.reader.clock(watched.connection._id);
    // Ahead of the position there are changes still to send, and the clock says nothing of what was sent.
    yield this.#sent(watched, this.#response(watched, clock.seq === watched.position ? clock.at : undefined));
  }

  #sent(watched: Watched, response: WatchChangesResponse): WatchChangesResponse {
    watched.lastSent = performance.now();
    return response;
  }

  #response(watched: Watched, completeThrough: Date | undefined): WatchChangesResponse {
    const connectionId = watched.connection.name;
    const cursor = this.#cursor(watched);
    return { connectionId, changes: [], cursor, completeThrough, marker: undefined };
  }

  #cursor({ connection, position }: Watched): string {
    const owner = { tenantId: this.list.tenantId, connectionId: connection.name };
    const generation = connection._id;
    return encodeCursor(
      { generation, sequence: position, since: position },
      owner,
      this.list.parts.cursorKey,
    );
  }
}
