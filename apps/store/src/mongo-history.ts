import { TidemarkError } from '@tidemark/model';
import type { Filter } from 'mongodb';
import {
  OPERATION,
  modelPrefix,
  recordKey,
  type ConnectionDocument,
  type StoreDatabase,
  type VersionDocument,
} from './mongo-collections.js';
import type { MongoPacks, Payload } from './mongo-packs.js';
import type { MongoRecordReader, RecordGroup } from './mongo-record-reader.js';
import type { RecordQuery } from './record-query.js';
import { fromRecord, fromVersion, type StoredVersion } from './stored-version.js';

/** A version with its payload; that is undefined for a tombstone. */
export type PayloadedVersion = readonly [version: StoredVersion, payload: Payload];

const WINDOW = 1_000;
const VERSIONS_A_TIME = 16;
/** Of payloads in one answer, unless a single one is larger: a message holds 16 MiB. */
const MAX_VERSIONS_BYTES = 4 * 1024 * 1024;

/** Reads of records as they were (P9, R20). */
export class MongoHistory {
  constructor(
    readonly db: StoreDatabase,
    readonly packs: MongoPacks,
    readonly reader: MongoRecordReader,
  ) {}

  /** A record's version as of a moment, of a number, or the newest. Throws RECORD_NOT_FOUND, CURSOR_EXPIRED. */
  async get(
    connection: ConnectionDocument,
    model: string,
    id: string,
    at: { asOf?: Date; version?: number },
  ): Promise<PayloadedVersion> {
    const key = recordKey(connection._id, model, id);
    const newest = await this.db.records.findOne({ _id: key });
    const fits =
      newest !== null &&
      (at.asOf === undefined || newest.at <= at.asOf) &&
      (at.version ?? newest.v) === newest.v;
    const found = fits ? fromRecord(newest, id) : await this.#superseded(connection, key, id, at);
    return [found, await this.packs.payload(connection, found)];
  }

  async #superseded(
    connection: ConnectionDocument,
    key: string,
    id: string,
    { asOf, version }: { asOf?: Date; version?: number },
  ): Promise<StoredVersion> {
    const filter: Filter<VersionDocument> = { ...versionRange(key, Number.MAX_SAFE_INTEGER) };
    if (version !== undefined) filter._id = { k: key, v: version };
    if (asOf !== undefined) Object.assign(filter, { at: { $lte: asOf } });
    const found = await this.db.versions.findOne(filter, { sort: { _id: -1 } });
    if (found !== null) return fromVersion(found, id);
    if (asOf !== undefined) await this.sequenceAt(connection, asOf);
    throw new TidemarkError('RECORD_NOT_FOUND', 'no such record, or not in that version or at that time');
  }

  /**
   * A record's versions below a number, newest first: as many as `limit` and about 4 MiB of payloads allow, at least one.
   * Throws RECORD_NOT_FOUND.
   */
  async versions(
    connection: ConnectionDocument,
    model: string,
    id: string,
    limit: number,
    below: number,
  ): Promise<{ readonly versions: readonly PayloadedVersion[]; readonly more: boolean }> {
    const key = recordKey(connection._id, model, id);
    const newest = await this.db.records.findOne({ _id: key });
    if (newest === null) throw new TidemarkError('RECORD_NOT_FOUND', 'no such record');
    const first = newest.v < below ? [fromRecord(newest, id)] : [];
    // Not below `below` alone: the newest one may have been superseded since it was read.
    const rest = await this.db.versions
      .find(versionRange(key, Math.min(below, newest.v)))
      .sort({ _id: -1 })
      .limit(limit + 1)
      .toArray();
    const found = [...first, ...rest.map((version) => fromVersion(version, id))];
    const versions = await this.#payloaded(connection, model, found.slice(0, limit));
    return { versions, more: versions.length < found.length };
  }

  /** Versions, given newest first, with their payloads, read a few at a time. */
  async #payloaded(
    connection: ConnectionDocument,
    model: string,
    versions: readonly StoredVersion[],
  ): Promise<PayloadedVersion[]> {
    const taken: PayloadedVersion[] = [];
    let bytes = 0;
    for (let start = 0; start < versions.length; start += VERSIONS_A_TIME) {
      const oldestFirst = versions.slice(start, start + VERSIONS_A_TIME).reverse();
      const read: PayloadedVersion[] = [];
      for await (const [version, payload] of this.packs.payloads(connection, oldestFirst)) {
        if (payload === undefined && version.k !== undefined) throw await this.packs.lost(connection, model);
        read.push([version, payload]);
      }
      for (const entry of read.reverse()) {
        bytes += entry[1]?.byteLength ?? 0;
        if (taken.length > 0 && bytes > MAX_VERSIONS_BYTES) return taken;
        taken.push(entry);
      }
    }
    return taken;
  }

  /** The sequence that a connection had at a moment. Throws CURSOR_EXPIRED if the history of that time is no longer kept. */
  async sequenceAt(connection: ConnectionDocument, moment: Date): Promise<number> {
    const { seq } = await this.reader.fence(connection._id);
    const sequence = await this.reader.sequenceAt(connection._id, moment, seq);
    const { horizon } = await this.reader.current(connection);
    if (moment >= horizon.historyAt) return sequence;
    throw new TidemarkError(
      'CURSOR_EXPIRED',
      'the history of that time is no longer kept; ask for a later one',
    );
  }

  /**
   * Versions as they were when the connection had the sequence `query.upTo`, in sequence order. Records are read window by
   * window, each before the superseded versions of the same sequences: whatever leaves the records meanwhile is among those.
   */
  async *asOf(connection: ConnectionDocument, query: RecordQuery): AsyncGenerator<RecordGroup> {
    const { upTo, models, signal } = query;
    let { after } = query;
    while (after < upTo) {
      const filter = { c: connection._id, m: { $in: [...models] } };
      const newest = await this.db.records
        .find({ ...filter, s: { $gt: after, $lte: upTo } }, { sort: { s: 1 }, limit: WINDOW, signal })
        .toArray();
      const end = newest.length === WINDOW ? (newest.at(-1)?.s ?? upTo) : upTo;
      const superseded = this.db.versions.find(
        { ...filter, s: { $gt: after, $lte: end }, us: { $gt: upTo } },
        { sort: { s: 1 }, signal, batchSize: WINDOW },
      );
      const prefixes = new Map(models.map((model) => [model, modelPrefix(connection._id, model).length]));
      const idOf = (key: string, model: string): string => key.slice(prefixes.get(model));
      const merged = merge(
        newest.map((document) => fromRecord(document, idOf(document._id, document.m))),
        versionsOf(superseded, idOf),
      );
      for await (const batch of merged) {
        const wanted = query.excludeDeleted ? batch.filter(({ o }) => o !== OPERATION.DELETED) : batch;
        yield* this.packs.groups(connection, wanted, signal);
      }
      after = end;
    }
  }
}

async function* versionsOf(
  cursor: AsyncIterable<VersionDocument>,
  idOf: (key: string, model: string) => string,
): AsyncGenerator<StoredVersion> {
  for await (const document of cursor) yield fromVersion(document, idOf(document._id.k, document.m));
}

/** Two sequences in order merged into one, in batches; what is in both comes once. */
async function* merge(
  newest: readonly StoredVersion[],
  superseded: AsyncIterable<StoredVersion>,
): AsyncGenerator<StoredVersion[]> {
  let index = 0;
  let batch: StoredVersion[] = [];
  for await (const version of superseded) {
    for (let next = newest[index]; next !== undefined && next.s <= version.s; next = newest[++index])
      if (next.s < version.s) batch.push(next);
    batch.push(version);
    if (batch.length < WINDOW) continue;
    yield batch;
    batch = [];
  }
  yield [...batch, ...newest.slice(index)];
}

function versionRange(key: string, below: number): Filter<VersionDocument> {
  return { _id: { $gte: { k: key, v: 0 }, $lt: { k: key, v: below } } };
}
