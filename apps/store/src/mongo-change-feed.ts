import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@tidemark/runtime';
import type { ChangeStream, Document } from 'mongodb';
import { CommitCache, WakeUps, type FeedChange, type FeedCommit, type FeedMarker } from './change-feed.js';
import {
  OPERATION,
  recordKey,
  type CommitDocument,
  type MarkerDocument,
  type StoreDatabase,
} from './mongo-collections.js';
import { notFound } from './mongo-connections.js';

const CACHE_BYTES = 32 * 1024 * 1024;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;
const REMEMBERED_MARKERS = 1_000;

/**
 * The process's one change stream, however many watchers. It only wakes them and remembers the newest commits: what a
 * watcher gets always follows the commit log from its own position. So a lost resume token, a slow watcher or a missed
 * wake-up costs a read of the log and nothing else, and no watcher needs a queue.
 */
export class MongoChangeFeed {
  readonly wakeUps = new WakeUps();
  readonly #cache = new CommitCache(CACHE_BYTES);
  readonly #heads = new Map<string, number>();
  readonly #reading = new Map<string, Promise<FeedCommit>>();
  #markers: { number: number; marker: FeedMarker }[] = [];
  #markerNumber = 0;
  #epoch = 0;
  #stream: ChangeStream | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(
    readonly db: StoreDatabase,
    readonly logger: Logger,
  ) {}

  /** Starts following; resolves once the change stream stands. */
  async start(): Promise<void> {
    await this.#open();
    this.#running = this.#follow();
  }

  /** Ends the change stream and wakes every watcher. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#stream?.close();
    await this.#running;
    this.wakeUps.wakeAll();
  }

  /** The newest sequence that the stream showed of a connection; undefined if it showed none yet. */
  head(uid: string): number | undefined {
    return this.#heads.get(uid);
  }

  /** Counts the change streams opened: with a new one, heads are unknown and every watcher reads the log once. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Number of the newest marker. */
  get markerNumber(): number {
    return this.#markerNumber;
  }

  /** Live markers after a number. */
  markersAfter(number: number): readonly { number: number; marker: FeedMarker }[] {
    return number === this.#markerNumber ? [] : this.#markers.filter((entry) => entry.number > number);
  }

  /** The commit that holds the change after a position; undefined if there is none yet. */
  async next(uid: string, position: number): Promise<FeedCommit | undefined> {
    const known = this.#cache.get(uid, position + 1);
    if (known) return known;
    const range = { _id: { $gt: { c: uid, n: position }, $lte: { c: uid, n: Number.MAX_SAFE_INTEGER } } };
    const document = await this.db.commits.findOne(range, { sort: { _id: 1 } });
    return document === null ? undefined : this.#expand(document);
  }

  async #expand(document: CommitDocument): Promise<FeedCommit> {
    const cached = this.#cache.get(document.c, document.f);
    if (cached) return cached;
    // Watchers wake together: the first of them reads a commit's payloads, the others wait for it.
    const key = `${document.c}:${document.f}`;
    const reading =
      this.#reading.get(key) ?? expandCommit(this.db, document).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    const commit = await reading;
    this.#cache.put(commit);
    return commit;
  }

  async #open(): Promise<ChangeStream> {
    const pipeline = [{ $match: { operationType: 'insert', 'ns.coll': { $in: ['commits', 'markers'] } } }];
    const stream = this.db.db.watch(pipeline, { batchSize: 100 });
    this.#stream = stream;
    await stream.tryNext(); // opens it on the server
    return stream;
  }

  async #follow(): Promise<void> {
    for (let retryMs = FIRST_RETRY_MS; !this.#stopped; retryMs = Math.min(LONGEST_RETRY_MS, retryMs * 2)) {
      try {
        const stream = this.#stream ?? (await this.#open());
        this.#heads.clear();
        this.#epoch++;
        this.wakeUps.wakeAll();
        for await (const event of stream) {
          retryMs = FIRST_RETRY_MS;
          this.#take(event);
        }
      } catch (error) {
        if (this.#stopped) return;
        this.logger.warn({ error, retryMs }, 'the change stream broke; watchers go on from the commit log');
        await this.#stream
          ?.close()
          .catch((cause: unknown) => this.logger.debug({ error: cause }, 'closing the broken stream failed'));
        await sleep(retryMs, undefined, { ref: false });
      }
      this.#stream = undefined;
    }
  }

  #take(event: Document): void {
    const collection = (event['ns'] as { coll: string }).coll;
    if (collection === 'commits') {
      const { _id } = event['fullDocument'] as CommitDocument;
      this.#heads.set(_id.c, _id.n);
    } else {
      const { c, m, r, kind } = event['fullDocument'] as MarkerDocument;
      this.#markers.push({ number: ++this.#markerNumber, marker: { uid: c, model: m, runId: r, kind } });
      if (this.#markers.length > REMEMBERED_MARKERS)
        this.#markers = this.#markers.slice(-REMEMBERED_MARKERS / 2);
    }
    this.wakeUps.wakeAll();
  }
}

/**
 * Adds the payloads to a commit's changes: from the records where their version is still the newest, else from history.
 * Throws CONNECTION_NOT_FOUND when one is gone: the connection is being removed, and what is left of it is no change.
 */
async function expandCommit(db: StoreDatabase, commit: CommitDocument): Promise<FeedCommit> {
  const keys = commit.i.map((id) => recordKey(commit.c, commit.m, id));
  const payloads = new Map<string, Uint8Array | undefined>();
  const versions = new Map(keys.map((key, index) => [key, commit.v[index]]));
  for await (const { _id, v, p } of db.records.find({ _id: { $in: keys } }, { projection: { v: 1, p: 1 } })) {
    if (versions.get(_id) === v) payloads.set(_id, p?.buffer);
  }
  const superseded = keys.flatMap((k, index) => (payloads.has(k) ? [] : [{ k, v: commit.v[index] ?? 0 }]));
  if (superseded.length > 0) {
    for await (const { _id, p } of db.versions.find({ _id: { $in: superseded } }, { projection: { p: 1 } })) {
      payloads.set(_id.k, p?.buffer);
    }
  }
  const gone = keys.some(
    (key, index) => payloads.get(key) === undefined && commit.o.buffer[index] !== OPERATION.DELETED,
  );
  if (gone) throw notFound();
  const changes = keys.map((key, index): FeedChange => ({
    id: commit.i[index] ?? '',
    version: commit.v[index] ?? 0,
    sequence: commit.f + index,
    operation: commit.o.buffer[index] ?? 0,
    payload: payloads.get(key),
    changedFields: commit.x[String(index)] ?? [],
  }));
  return {
    uid: commit.c,
    model: commit.m,
    runId: commit.r,
    cause: commit.u,
    at: commit.at,
    first: commit.f,
    last: commit._id.n,
    changes,
    bytes: changes.reduce((sum, { payload }) => sum + (payload?.byteLength ?? 0), 0),
  };
}
