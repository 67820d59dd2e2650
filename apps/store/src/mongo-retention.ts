import { withTransaction } from '@tidemark/mongo';
import type { ClientSession, Filter } from 'mongodb';
import type { KeyedMutex } from './keyed-mutex.js';
import { connectionKey } from './lease.js';
import { CommitConflict } from './mongo-change-writer.js';
import {
  numberRange,
  OPERATION,
  recordKey,
  type CommitDocument,
  type ConnectionDocument,
  type HorizonDocument,
  type PackDocument,
  type StoreDatabase,
} from './mongo-collections.js';
import { retryConflicts } from './mongo-committer.js';
import type { MongoConnections } from './mongo-connections.js';
import type { MongoPacks } from './mongo-packs.js';
import { encodePack } from './pack.js';

/** How long what is no longer current is kept, in milliseconds. */
export interface RetentionPeriods {
  /** Superseded versions. */
  readonly historyMs: number;
  /** Tombstones and the log; at least as long. */
  readonly tombstoneMs: number;
}

/** What one call removed. */
export interface Removed {
  readonly versions: number;
  readonly tombstones: number;
}

const CALL_MS = 2_000;
const ENTRIES = 50;
/** Changes of one transaction, unless a single commit has more. */
const CHANGES = 500;

/**
 * Removes what is past its retention (R7), in the order of the log, some commits a transaction, the horizon with them: so a
 * reader either finds what it asks for, or is told that it is no longer kept.
 */
export class MongoRetention {
  constructor(
    readonly db: StoreDatabase,
    readonly connections: MongoConnections,
    readonly packs: MongoPacks,
    readonly periods: RetentionPeriods,
    readonly mutex: KeyedMutex,
  ) {}

  /** Goes on for about two seconds. Throws CONNECTION_NOT_FOUND. */
  async apply(tenantId: string, connectionId: string): Promise<Removed & { done: boolean }> {
    const deadline = performance.now() + CALL_MS;
    const now = await this.#now();
    const removed = { versions: 0, tombstones: 0 };
    const step = () =>
      retryConflicts(async () => this.#step(await this.connections.get(tenantId, connectionId), now));
    while (performance.now() < deadline) {
      const more = await this.mutex.run(connectionKey({ tenantId, connectionId }), step);
      if (more === undefined) return { done: true, ...removed };
      removed.versions += more.versions;
      removed.tombstones += more.tombstones;
    }
    return { done: false, ...removed };
  }

  /** The database's time: it gave the times of the commits. */
  async #now(): Promise<number> {
    const { localTime } = await this.db.db.command({ hello: 1 });
    return (localTime as Date).getTime();
  }

  async #step(connection: ConnectionDocument, now: number): Promise<Removed | undefined> {
    // A purge writes the same packs and goes first.
    if (connection.purge !== undefined) return undefined;
    const { horizon } = connection;
    const history = await this.#entries(connection, horizon.history, now - this.periods.historyMs);
    if (history.length > 0) return this.#removeHistory(connection, history);
    const log = await this.#entries(connection, horizon.log, now - this.periods.tombstoneMs);
    const past = log.filter(({ _id }) => _id.n <= horizon.history);
    return past.length > 0 ? this.#removeLog(connection, past) : undefined;
  }

  /** The oldest entries of the log after a sequence that are old enough, as many as one transaction takes. */
  async #entries({ _id: c }: ConnectionDocument, after: number, until: number): Promise<CommitDocument[]> {
    const _id = numberRange(c, after, Number.MAX_SAFE_INTEGER);
    const filter = { _id, at: { $lte: new Date(until) } } as Filter<CommitDocument>;
    const found = await this.db.commits.find(filter).sort({ _id: 1 }).limit(ENTRIES).toArray();
    let changes = 0;
    return found.filter(({ i }, index) => (changes += i.length) <= CHANGES || index === 0);
  }

  async #removeHistory(connection: ConnectionDocument, entries: readonly CommitDocument[]): Promise<Removed> {
    const keys = entries.flatMap(({ c, m, i, v }) =>
      i.map((id, index) => ({ k: recordKey(c, m, id), v: (v[index] ?? 0) - 1 })),
    );
    const versions = await this.db.versions.find({ _id: { $in: keys.filter(({ v }) => v > 0) } }).toArray();
    const dead = new Set(versions.map(({ s }) => s));
    const last = entries.at(-1);
    const packs = [...new Set(versions.flatMap(({ k }) => (k === undefined ? [] : [k])))];
    return withTransaction(this.db.client, async (session) => {
      if (last) await this.#move(session, connection, { history: last._id.n, historyAt: last.at });
      await this.db.versions.deleteMany({ _id: { $in: versions.map(({ _id }) => _id) } }, { session });
      for (const n of packs) await this.#dropPayloads(session, connection, n, dead);
      return { versions: versions.length, tombstones: 0 };
    });
  }

  async #dropPayloads(
    session: ClientSession,
    connection: ConnectionDocument,
    n: number,
    dead: ReadonlySet<number>,
  ): Promise<void> {
    const filter: Filter<PackDocument> = { _id: { c: connection._id, n } };
    const stored = await this.db.packs.findOne(filter, { session });
    if (stored === null) return;
    const pack = this.packs.open(connection, stored);
    const entries = pack.sequences.flatMap((sequence) => {
      const payload = dead.has(sequence) ? undefined : pack.get(sequence);
      return payload ? [{ back: n - sequence, payload }] : [];
    });
    if (entries.length === 0) {
      await this.db.packs.deleteOne(filter, { session });
      return;
    }
    const { p } = this.packs.toDocument(connection, stored.m, n, encodePack(entries));
    await this.db.packs.updateOne(filter, { $set: { p } }, { session });
  }

  async #removeLog(connection: ConnectionDocument, entries: readonly CommitDocument[]): Promise<Removed> {
    const c = connection._id;
    const last = entries.at(-1);
    if (last === undefined) return { versions: 0, tombstones: 0 };
    return withTransaction(this.db.client, async (session) => {
      await this.#move(session, connection, { log: last._id.n, logAt: last.at });
      const log = { _id: numberRange(c, connection.horizon.log, last._id.n) } as Filter<CommitDocument>;
      await this.db.commits.deleteMany(log, { session });
      const { deletedCount } = await this.db.records.deleteMany(
        { c, s: { $lte: last._id.n }, o: OPERATION.DELETED },
        { session, hint: 'tombstones' },
      );
      return { versions: 0, tombstones: deletedCount };
    });
  }

  /** Only from where the connection was read: of two processes that do the same, one does it. */
  async #move(
    session: ClientSession,
    { _id, horizon, payloadKeys }: ConnectionDocument,
    to: Partial<HorizonDocument>,
  ): Promise<void> {
    const $set = Object.fromEntries(Object.entries(to).map(([name, value]) => [`horizon.${name}`, value]));
    const { matchedCount } = await this.db.connections.updateOne(
      { _id, horizon, payloadKeys, removing: { $exists: false } },
      { $set },
      { session },
    );
    if (matchedCount !== 1) throw new CommitConflict('the connection changed since it was read');
  }
}
