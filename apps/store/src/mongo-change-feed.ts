import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@tidemark/runtime';
import type { ChangeStream, Document, Filter } from 'mongodb';
import { CommitCache, WakeUps, type FeedChange, type FeedCommit } from './change-feed.js';
import {
  numberRange,
  OPERATION,
  type CommitDocument,
  type ConnectionDocument,
  type PackDocument,
  type StoreDatabase,
} from './mongo-collections.js';
import type { MongoPacks, Payload } from './mongo-packs.js';
import { expired } from './horizon.js';

const CACHE_BYTES = 32 * 1024 * 1024;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;

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
  /** Counts the changes of connections' documents. */
  readonly #settings = new Map<string, number>();
  #epoch = 0;
  #stream: ChangeStream | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(
    readonly db: StoreDatabase,
    readonly packs: MongoPacks,
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

  /** Grows whenever a connection's scope, keys or horizon may have changed, or it may have been removed. */
  settingsState(uid: string): string {
    return `${this.#epoch}:${this.#settings.get(uid) ?? 0}`;
  }

  /** The log's entry that holds the sequence after a position; undefined if there is none yet. */
  async next(connection: ConnectionDocument, position: number): Promise<FeedCommit | undefined> {
    const known = this.#cache.get(cacheKey(connection, position + 1));
    if (known) return known;
    const _id = numberRange(connection._id, position, Number.MAX_SAFE_INTEGER);
    const document = await this.db.commits.findOne({ _id } as Filter<CommitDocument>, { sort: { _id: 1 } });
    if (document === null) return undefined;
    // The log is contiguous but for what retention removed.
    if (document.f > position + 1) throw expired();
    return this.#expand(connection, document);
  }

  async #expand(connection: ConnectionDocument, document: CommitDocument): Promise<FeedCommit> {
    const key = cacheKey(connection, document.f);
    const cached = this.#cache.get(key);
    if (cached) return cached;
    // Watchers wake together: the first of them reads a commit's payloads, the others wait for it.
    const reading =
      this.#reading.get(key) ??
      expandCommit(this.db, this.packs, connection, document).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    const commit = await reading;
    this.#cache.put(key, commit);
    return commit;
  }

  async #open(): Promise<ChangeStream> {
    const inserts = { 'ns.coll': 'commits', operationType: 'insert' };
    const pipeline = [
      { $match: { $or: [inserts, { 'ns.coll': 'connections' }] } },
      { $project: { ns: 1, documentKey: 1 } },
    ];
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
    const { _id } = event['documentKey'] as { _id: CommitDocument['_id'] | string };
    if (typeof _id === 'string') this.#settings.set(_id, (this.#settings.get(_id) ?? 0) + 1);
    else this.#heads.set(_id.c, _id.n);
    this.wakeUps.wakeAll();
  }
}

/** What was read before a scope became narrower is not what is sent after. */
function cacheKey({ _id, floor }: ConnectionDocument, first: number): string {
  return `${_id}:${floor}:${first}`;
}

/** Adds the payloads to a commit's changes. Throws as `MongoPacks.lost` does when one is gone. */
async function expandCommit(
  db: StoreDatabase,
  packs: MongoPacks,
  connection: ConnectionDocument,
  commit: CommitDocument,
): Promise<FeedCommit> {
  const payloads = await readPayloads(db, packs, connection, commit);
  const changes = commit.i.map((id, index): FeedChange => ({
    id,
    version: commit.v[index] ?? 0,
    sequence: commit.f + index,
    operation: commit.o.buffer[index] ?? 0,
    payload: payloads.get(commit.f + index),
    changedFields: commit.x[String(index)] ?? [],
  }));
  if (changes.some(({ payload, operation }) => payload === undefined && operation !== OPERATION.DELETED))
    throw await packs.lost(connection, commit.m);
  return {
    uid: commit.c,
    model: commit.m,
    runId: commit.r,
    cause: commit.u,
    at: commit.at,
    first: commit.f,
    last: commit._id.n,
    changes,
    mark: commit.mark,
    bytes: changes.reduce((sum, { payload }) => sum + (payload?.byteLength ?? 0), 0),
  };
}

async function readPayloads(
  db: StoreDatabase,
  packs: MongoPacks,
  connection: ConnectionDocument,
  { _id, c, f, i }: CommitDocument,
): Promise<Map<number, Payload>> {
  const payloads = new Map<number, Payload>();
  if (i.length === 0) return payloads;
  for await (const pack of db.packs.find({ _id: numberRange(c, f - 1, _id.n) } as Filter<PackDocument>)) {
    const opened = await packs.openForReading(connection, pack);
    for (const sequence of opened.pack.sequences) payloads.set(sequence, opened.read(sequence));
  }
  return payloads;
}
