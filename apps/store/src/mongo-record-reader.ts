import { TidemarkError } from '@tidemark/model';
import { Binary, MongoServerError, type Filter, type FindCursor } from 'mongodb';
import {
  modelPrefix,
  OPERATION,
  type ClockDocument,
  type ConnectionDocument,
  type RecordDocument,
  type StoreDatabase,
} from './mongo-collections.js';
import { notFound } from './mongo-connections.js';
import type { MongoPacks, Payload } from './mongo-packs.js';
import type { RecordQuery } from './record-query.js';
import { fromRecord, type StoredVersion } from './stored-version.js';

/** Records whose payloads are at hand, in sequence order. */
export interface RecordGroup {
  readonly documents: readonly StoredVersion[];
  /** The payload of one of them; undefined for a tombstone. */
  readonly payloadOf: (document: StoredVersion) => Payload;
}

const READ_BATCH = 1_000;
const FENCE_MS = 10_000;
const MAX_TIME_EXPIRED = 50;

/** Reads of records as they are. */
export class MongoRecordReader {
  constructor(
    readonly db: StoreDatabase,
    readonly packs: MongoPacks,
    readonly fenceMs = FENCE_MS,
  ) {}

  /**
   * The connection's clock, moved past now (P2): every commit still in flight has landed, and every later one gets a later
   * time, so that a reader who asks next for changes after a moment up to now misses none. Throws DATABASE_UNAVAILABLE when
   * a commit does not land in time: that of a process that was killed lasts until the database gives it up.
   */
  async fence(uid: string): Promise<ClockDocument> {
    const now = [{ $set: { at: { $max: ['$at', '$$NOW'] } } }];
    const options = { returnDocument: 'after', maxTimeMS: this.fenceMs } as const;
    const clock = await this.db.clocks
      .findOneAndUpdate({ _id: uid }, now, options)
      .catch((error: unknown) => {
        if (!(error instanceof MongoServerError) || error.code !== MAX_TIME_EXPIRED) throw error;
        const message = 'a commit of this connection has not landed yet; try again shortly';
        throw new TidemarkError('DATABASE_UNAVAILABLE', message, { cause: error });
      });
    return requireClock(clock);
  }

  /** The connection's clock as it is. */
  async clock(uid: string): Promise<ClockDocument> {
    return requireClock(await this.db.clocks.findOne({ _id: uid }));
  }

  /** The clocks of connections as they are, by uid; those of removed ones are missing. */
  async clocks(uids: readonly string[]): Promise<Map<string, ClockDocument>> {
    const found = await this.db.clocks.find({ _id: { $in: [...uids] } }).toArray();
    return new Map(found.map((clock) => [clock._id, clock]));
  }

  /** The connection as it is now. Throws CONNECTION_NOT_FOUND if it was removed, or is being. */
  async current({ _id }: ConnectionDocument): Promise<ConnectionDocument> {
    const connection = await this.db.connections.findOne({ _id });
    if (connection === null || connection.removing) throw notFound();
    return connection;
  }

  /** The sequence of the last change at or before a moment, `head` if there is none after it. */
  async sequenceAt(uid: string, moment: Date, head: number): Promise<number> {
    const next = await this.db.commits.findOne(
      { c: uid, at: { $gt: moment } },
      { sort: { at: 1 }, projection: { f: 1 } },
    );
    return next === null ? head : next.f - 1;
  }

  /**
   * Newest versions in sequence order. All changes up to `upTo` must have been committed before the call; then a record
   * that changes meanwhile only leaves the range, and is found by whoever reads on from `upTo`.
   */
  async *stream(connection: ConnectionDocument, query: RecordQuery): AsyncGenerator<RecordGroup> {
    const cursor = this.#find(connection, query);
    const { _id: uid } = connection;
    const prefixes = new Map(query.models.map((model) => [model, modelPrefix(uid, model).length]));
    const nextBatch = async (): Promise<RecordDocument[]> =>
      (await cursor.hasNext()) ? cursor.readBufferedDocuments() : [];
    let following: Promise<RecordDocument[]> = nextBatch();
    try {
      for (let batch = await following; batch.length > 0; batch = await following) {
        // The next documents are on their way while the payloads of these are read.
        following = nextBatch();
        following.catch(() => undefined); // whoever awaits it gets the error; a stream that is ended does not
        const versions = matching(batch, query).map((document) =>
          fromRecord(document, document._id.slice(prefixes.get(document.m))),
        );
        yield* this.packs.groups(connection, versions, query.signal);
      }
    } finally {
      await cursor.close();
    }
  }

  #find({ _id: c }: ConnectionDocument, query: RecordQuery): FindCursor<RecordDocument> {
    const [only] = query.models;
    const m = query.models.length === 1 && only !== undefined ? only : { $in: [...query.models] };
    const filter: Filter<RecordDocument> = { c, m, s: { $gt: query.after, $lte: query.upTo } };
    if (query.excludeDeleted) filter.o = { $ne: OPERATION.DELETED };
    if (query.filter) filter.h = { $in: query.filter.anyOf.map((hash) => new Binary(hash)) };
    return this.db.records.find(filter, {
      sort: { s: 1 },
      hint: query.filter ? { c: 1, m: 1, h: 1, s: 1 } : { c: 1, m: 1, s: 1 },
      projection: { c: 0, f: 0, u: 0, r: 0, x: 0, os: 0, ...(query.filter ? {} : { h: 0 }) },
      batchSize: READ_BATCH,
      signal: query.signal,
    });
  }
}

function matching(batch: RecordDocument[], { filter }: RecordQuery): RecordDocument[] {
  if (filter === undefined) return batch;
  return batch.filter(({ m, h = [] }) =>
    filter.mayMatch(
      m,
      h.map(({ buffer }) => buffer),
    ),
  );
}

function requireClock(clock: ClockDocument | null): ClockDocument {
  if (clock === null) throw notFound();
  return clock;
}
