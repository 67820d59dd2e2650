import { TidemarkError } from '@tidemark/model';
import { MongoServerError, type Filter } from 'mongodb';
import {
  OPERATION,
  recordKey,
  type ClockDocument,
  type RecordDocument,
  type StoreDatabase,
  type VersionDocument,
} from './mongo-collections.js';
import { notFound } from './mongo-connections.js';

/** Which records a stream shall read. */
export interface RecordQuery {
  readonly uid: string;
  readonly models: readonly string[];
  /** Sequences after this one … */
  readonly after: number;
  /** … up to this one. */
  readonly upTo: number;
  readonly excludeDeleted: boolean;
  readonly signal: AbortSignal;
}

/** A record's version, newest or superseded, with its id. */
export interface StoredVersion extends Omit<RecordDocument, '_id' | 'f'> {
  readonly id: string;
  readonly until?: Date;
}

const READ_BATCH = 1_000;
const FENCE_MS = 10_000;
const MAX_TIME_EXPIRED = 50;

/** Reads of records and their history. */
export class MongoRecordReader {
  constructor(
    readonly db: StoreDatabase,
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

  /** Throws CONNECTION_NOT_FOUND if the connection was removed, or is being. */
  async requireConnection(uid: string): Promise<void> {
    const connection = await this.db.connections.findOne({ _id: uid }, { projection: { removing: 1 } });
    if (connection === null || connection.removing) throw notFound();
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
  async *stream(query: RecordQuery): AsyncGenerator<RecordDocument[]> {
    const [only] = query.models;
    const m = query.models.length === 1 && only !== undefined ? only : { $in: [...query.models] };
    const filter: Filter<RecordDocument> = { c: query.uid, m, s: { $gt: query.after, $lte: query.upTo } };
    if (query.excludeDeleted) filter.o = { $ne: OPERATION.DELETED };
    const cursor = this.db.records.find(filter, {
      sort: { s: 1 },
      hint: { c: 1, m: 1, s: 1 },
      projection: { c: 0, f: 0, u: 0, r: 0, x: 0 },
      batchSize: READ_BATCH,
      signal: query.signal,
    });
    try {
      while (await cursor.hasNext()) yield cursor.readBufferedDocuments();
    } finally {
      await cursor.close();
    }
  }

  /** A record's version as of a moment, of a number, or the newest. Throws RECORD_NOT_FOUND. */
  async get(
    uid: string,
    model: string,
    id: string,
    at: { asOf?: Date; version?: number },
  ): Promise<StoredVersion> {
    const key = recordKey(uid, model, id);
    const newest = await this.db.records.findOne({ _id: key });
    const fits =
      newest !== null &&
      (at.asOf === undefined || newest.at <= at.asOf) &&
      (at.version ?? newest.v) === newest.v;
    if (fits) return fromRecord(newest, id);
    const old = newest === null ? null : await this.#superseded(key, at);
    if (old === null)
      throw new TidemarkError('RECORD_NOT_FOUND', 'no such record, or not in that version or at that time');
    return fromVersion(old, id);
  }

  async #superseded(
    key: string,
    { asOf, version }: { asOf?: Date; version?: number },
  ): Promise<VersionDocument | null> {
    if (version !== undefined) return this.db.versions.findOne({ _id: { k: key, v: version } });
    const filter: Filter<VersionDocument> = { ...versionRange(key, Number.MAX_SAFE_INTEGER) };
    if (asOf !== undefined) Object.assign(filter, { at: { $lte: asOf } });
    return this.db.versions.findOne(filter, { sort: { _id: -1 } });
  }

  /** A record's versions below a number, newest first. Throws RECORD_NOT_FOUND. */
  async versions(
    uid: string,
    model: string,
    id: string,
    limit: number,
    below: number,
  ): Promise<StoredVersion[]> {
    const key = recordKey(uid, model, id);
    const newest = await this.db.records.findOne({ _id: key });
    if (newest === null) throw new TidemarkError('RECORD_NOT_FOUND', 'no such record');
    const first = newest.v < below ? [fromRecord(newest, id)] : [];
    // Not below `below` alone: the newest one may have been superseded since it was read.
    const rest = await this.db.versions
      .find(versionRange(key, Math.min(below, newest.v)))
      .sort({ _id: -1 })
      .limit(limit)
      .toArray();
    return [...first, ...rest.map((version) => fromVersion(version, id))].slice(0, limit);
  }
}

function versionRange(key: string, below: number): Filter<VersionDocument> {
  return { _id: { $gte: { k: key, v: 0 }, $lt: { k: key, v: below } } };
}

function fromRecord({ _id: _key, f: _fingerprint, ...rest }: RecordDocument, id: string): StoredVersion {
  return { id, ...rest };
}

function fromVersion({ _id: _key, ...rest }: VersionDocument, id: string): StoredVersion {
  return { id, ...rest };
}

function requireClock(clock: ClockDocument | null): ClockDocument {
  if (clock === null) throw notFound();
  return clock;
}
