import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@tidemark/runtime';
import { Binary, type ChangeStream, type Document, type Filter } from 'mongodb';
import { costOf, FeedMemory, type FeedCommit } from './change-feed.js';
import { Followers, type News } from './feed-followers.js';
import { expired } from './horizon.js';
import {
  numberRange,
  type CommitDocument,
  type ConnectionDocument,
  type PackDocument,
  type StoreDatabase,
} from './mongo-collections.js';
import { expandDelivered, expandFound, withoutChanges, type Delivered } from './mongo-feed-commits.js';
import type { MongoPacks } from './mongo-packs.js';

/** Of commits as watchers get them, and of those that no watcher asked for yet. */
const COMMITS_BYTES = 32 * 1024 * 1024;
const DELIVERED_BYTES = 16 * 1024 * 1024;
/** What is larger is read when it is asked for: of it, the way to the database is the smaller part. */
const MAX_DELIVERED_BYTES = 64 * 1024;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;
/** How long the database waits for news before it answers that there is none. Opening and closing the stream takes as long. */
const AWAIT_MS = 250;
/** How long the stream outlives the last watch, for the next one to find it. */
const LINGER_MS = 30_000;

/** An event of the change stream, as projected. */
interface FeedEvent {
  readonly ns: { readonly coll: string };
  readonly documentKey: { readonly _id: unknown };
  readonly fullDocument?: CommitDocument | PackDocument;
}

/**
 * The process's one change stream, however many watchers; none while nobody watches, for the database works on it with every
 * write. It tells those of a connection when there is news of it, and brings
 * the news along. What a watcher gets is the commit log after its own position all the same: whatever is not at hand is read
 * there. So a lost resume token, a slow watcher or a full memory costs a read of the log, and no watcher needs a queue.
 */
export class MongoChangeFeed {
  readonly #followers = new Followers();
  /** Under their first sequence. */
  readonly #delivered = new FeedMemory<Delivered>(DELIVERED_BYTES);
  readonly #commits = new FeedMemory<FeedCommit>(COMMITS_BYTES);
  readonly #reading = new Map<string, Promise<FeedCommit>>();
  /** The packs of the transaction whose log entries come next. */
  #packsAhead: PackDocument[] = [];
  #epoch = 0;
  #watches = 0;
  #stream: ChangeStream | undefined;
  #running: Promise<void> | undefined;
  /** Whether the stream stands, or could not be opened at first; and who waits for that. */
  #tried = false;
  readonly #waiting: (() => void)[] = [];
  #isUnused = false;
  #lingering: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(
    readonly db: StoreDatabase,
    readonly packs: MongoPacks,
    readonly logger: Logger,
    readonly lingerMs = LINGER_MS,
  ) {}

  /** Ends the change stream and wakes every watcher. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#lingering);
    await this.#stream?.close();
    await this.#running;
    this.#followers.startOver();
  }

  /**
   * Has the change stream opened, and kept open until the watch is gone. Resolves once it stands; or, if it cannot be opened
   * now, without: then everybody is told when it does.
   */
  async attach(): Promise<void> {
    this.#watches++;
    clearTimeout(this.#lingering);
    this.#running ??= this.#run();
    if (!this.#tried && !this.#stopped) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** A watch is gone that was attached. */
  detach(): void {
    this.#watches--;
    if (this.#watches > 0 || this.#stopped) return;
    clearTimeout(this.#lingering);
    this.#lingering = setTimeout(() => this.#closeUnused(), this.lingerMs).unref();
  }

  /** From now on a connection's news are told, and kept, until they are no longer followed. */
  follow(uid: string, news: News): void {
    this.#followers.follow(uid, news);
  }

  unfollow(uid: string, news: News): void {
    if (!this.#followers.unfollow(uid, news)) this.#forget(uid);
  }

  /** The newest sequence that the stream showed of a connection; undefined if it showed none yet. */
  head(uid: string): number | undefined {
    return this.#followers.head(uid);
  }

  /** Counts the change streams opened: with a new one, heads are unknown and every watcher reads the log once. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Counts changes of connections' documents. Taken before one is read, it says later whether that may be out of date. */
  get changes(): number {
    return this.#followers.changes;
  }

  /** Whether a followed connection's scope, keys or horizon may have changed since that count, or it may have been removed. */
  hasChanged(uid: string, changes: number): boolean {
    return this.#followers.hasChanged(uid, changes);
  }

  /**
   * The log's entry that holds the sequence after a position; undefined if there is none yet. Its changes are left out where
   * its model is not wanted.
   */
  async next(
    connection: ConnectionDocument,
    position: number,
    wants: (model: string) => boolean,
  ): Promise<FeedCommit | undefined> {
    const uid = connection._id;
    const known = this.#commits.get(uid, cacheKey(connection, position + 1));
    if (known) return known;
    const delivered = this.#delivered.get(uid, String(position + 1));
    if (delivered && !wants(delivered.entry.m)) return withoutChanges(delivered.entry);
    const commit = delivered && expandDelivered(this.packs, connection, delivered);
    if (commit) {
      this.#delivered.delete(uid, String(commit.first));
      return this.#keep(connection, commit);
    }
    const entry = await this.#find(connection, position);
    if (entry === undefined) return undefined;
    return wants(entry.m) ? this.#expand(connection, entry) : withoutChanges(entry);
  }

  async #find({ _id: uid }: ConnectionDocument, position: number): Promise<CommitDocument | undefined> {
    const _id = numberRange(uid, position, Number.MAX_SAFE_INTEGER);
    const entry = await this.db.commits.findOne({ _id } as Filter<CommitDocument>, { sort: { _id: 1 } });
    // The log is contiguous but for what retention removed.
    if (entry !== null && entry.f > position + 1) throw expired();
    return entry ?? undefined;
  }

  async #expand(connection: ConnectionDocument, entry: CommitDocument): Promise<FeedCommit> {
    const key = cacheKey(connection, entry.f);
    const known = this.#commits.get(connection._id, key);
    if (known) return known;
    // Watchers wake together: the first of them reads a commit's payloads, the others wait for it.
    const name = `${connection._id}:${key}`;
    const reading =
      this.#reading.get(name) ??
      expandFound(this.db, this.packs, connection, entry).finally(() => this.#reading.delete(name));
    this.#reading.set(name, reading);
    return this.#keep(connection, await reading);
  }

  #keep(connection: ConnectionDocument, commit: FeedCommit): FeedCommit {
    const key = cacheKey(connection, commit.first);
    if (this.#followers.isFollowed(connection._id) && !this.#commits.get(connection._id, key))
      this.#commits.put(connection._id, key, commit, costOf(commit));
    return commit;
  }

  #forget(uid: string): void {
    this.#delivered.forget(uid);
    this.#commits.forget(uid);
  }

  async #open(): Promise<ChangeStream> {
    const inserts = { 'ns.coll': { $in: ['commits', 'packs'] }, operationType: 'insert' };
    const isSmall = { $lte: [{ $bsonSize: '$fullDocument' }, MAX_DELIVERED_BYTES] };
    const isBrought = { $and: [{ $ne: ['$ns.coll', 'connections'] }, isSmall] };
    const fullDocument = { $cond: [isBrought, '$fullDocument', '$$REMOVE'] };
    const pipeline = [
      { $match: { $or: [inserts, { 'ns.coll': 'connections' }] } },
      { $project: { 'ns.coll': 1, documentKey: 1, fullDocument } },
    ];
    const stream = this.db.db.watch(pipeline, { batchSize: 100, maxAwaitTimeMS: AWAIT_MS });
    this.#stream = stream;
    await stream.tryNext(); // opens it on the server
    return stream;
  }

  #closeUnused(): void {
    if (this.#watches > 0) return;
    this.#isUnused = true;
    this.#tried = false;
    this.#stream?.close().catch((error: unknown) => {
      this.logger.debug({ error }, 'closing the unused stream failed');
    });
  }

  async #run(): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    while (this.#watches > 0 && !this.#stopped) {
      this.#isUnused = false;
      try {
        const stream = await this.#open();
        this.#startOver();
        this.#hasTried();
        for await (const event of stream) {
          retryMs = FIRST_RETRY_MS;
          // Who was told has its turn first: asking the database for more takes time, which would come on top of theirs.
          if (this.#take(event as Document as FeedEvent)) await setImmediate();
        }
      } catch (error) {
        this.#hasTried();
        if (this.#stopped) break;
        if (this.#isUnused) continue;
        this.logger.warn({ error, retryMs }, 'the change stream broke; watchers go on from the commit log');
        await this.#stream
          ?.close()
          .catch((cause: unknown) => this.logger.debug({ error: cause }, 'closing the broken stream failed'));
        await sleep(retryMs, undefined, { ref: false });
        retryMs = Math.min(LONGEST_RETRY_MS, retryMs * 2);
      }
      this.#stream = undefined;
    }
    this.#hasTried();
    this.#tried = false;
    this.#running = undefined;
  }

  #hasTried(): void {
    this.#tried = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #startOver(): void {
    this.#epoch++;
    this.#packsAhead = [];
    this.#delivered.clear();
    this.#commits.clear();
    this.#followers.startOver();
  }

  /** Whether anybody was told. */
  #take({ ns, documentKey, fullDocument }: FeedEvent): boolean {
    switch (ns.coll) {
      case 'packs':
        this.#takePack(fullDocument as PackDocument | undefined);
        return false;
      case 'commits':
        return this.#takeEntry(documentKey._id as CommitDocument['_id'], fullDocument as CommitDocument);
      default: {
        const uid = documentKey._id as string;
        this.#forget(uid);
        return this.#followers.changed(uid);
      }
    }
  }

  #takePack(pack: PackDocument | undefined): void {
    if (pack === undefined || !this.#followers.isFollowed(pack.c)) return;
    if (this.#packsAhead[0]?.c !== pack.c) this.#packsAhead = [];
    this.#packsAhead.push({ ...pack, p: copy(pack.p) });
  }

  #takeEntry({ c, n }: CommitDocument['_id'], entry: CommitDocument | undefined): boolean {
    if (!this.#followers.isFollowed(c)) return false;
    const ahead = this.#packsAhead.filter((pack) => pack.c === c);
    this.#packsAhead = ahead.filter(({ _id }) => _id.n > n);
    if (entry !== undefined) {
      const packs = ahead.filter(({ _id }) => _id.n >= entry.f && _id.n <= n);
      const delivered = { entry: { ...entry, o: copy(entry.o) }, packs };
      this.#delivered.put(c, String(entry.f), delivered, deliveredCost(delivered));
    }
    return this.#followers.committed(c, n);
  }
}

/** What was read before a scope became narrower is not what is sent after. */
function cacheKey({ floor }: ConnectionDocument, first: number): string {
  return `${floor}:${first}`;
}

/** The driver's is a view of the whole reply, which would be kept with it. */
function copy({ buffer }: Binary): Binary {
  return new Binary(Uint8Array.from(buffer));
}

function deliveredCost({ entry, packs }: Delivered): number {
  const bytes = packs.reduce((sum, { p }) => sum + p.length(), 0);
  return costOf({ bytes, changes: [] }) + 100 * entry.i.length;
}
