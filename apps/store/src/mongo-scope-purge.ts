import { withTransaction } from '@tidemark/mongo';
import { Binary } from 'mongodb';
import type { KeyedMutex } from './keyed-mutex.js';
import { connectionKey } from './lease.js';
import { CommitConflict } from './mongo-change-writer.js';
import {
  modelKey,
  modelPrefix,
  OPERATION,
  recordKeys,
  type ConnectionDocument,
  type PackDocument,
  type PurgeDocument,
  type ReceiptDocument,
  type StoreDatabase,
} from './mongo-collections.js';
import { retryConflicts } from './mongo-committer.js';
import type { MongoConnections } from './mongo-connections.js';
import type { MongoPackPurge } from './mongo-pack-purge.js';

const CALL_MS = 2_000;
const PACKS_A_STEP = 8;
const REMOVE_BATCH = 1_000;
const RECEIPTS = 100;

/** What was purged, so far or in all. */
export type Receipt = Omit<PurgeDocument, 'e' | 'indexed'> & { readonly endedAt?: Date };

interface Step {
  readonly done: boolean;
  readonly receipt: Receipt | undefined;
}

/**
 * Brings what is stored within a scope that became narrower (P3), and makes index hashes anew: pack by pack, each in a
 * transaction of its own, so that it can be stopped anywhere and go on. In the end the key that it replaced is destroyed.
 */
export class MongoScopePurge {
  constructor(
    readonly db: StoreDatabase,
    readonly connections: MongoConnections,
    readonly packs: MongoPackPurge,
    readonly mutex: KeyedMutex,
  ) {}

  /** Goes on for about two seconds. Throws CONNECTION_NOT_FOUND. */
  async apply(tenantId: string, connectionId: string): Promise<Step> {
    const deadline = performance.now() + CALL_MS;
    const step = () =>
      retryConflicts(async () => this.#step(await this.connections.get(tenantId, connectionId)));
    let receipt: Receipt | undefined;
    while (performance.now() < deadline) {
      // A turn for each step: writers of the connection wait for no more than one.
      const done = await this.mutex.run(connectionKey({ tenantId, connectionId }), step);
      receipt = done.receipt ?? receipt;
      if (done.done) return { done: true, receipt };
    }
    return { done: false, receipt };
  }

  /** The newest receipts, newest first, that of a purge under way among them. */
  async receipts(connection: ConnectionDocument): Promise<Receipt[]> {
    const ended = await this.db.receipts
      .find({ c: connection._id })
      .sort({ _id: -1 })
      .limit(RECEIPTS)
      .toArray();
    const running = connection.purge && takesAway(connection.purge) ? [connection.purge] : [];
    return [...running, ...ended];
  }

  async #step(connection: ConnectionDocument): Promise<Step> {
    const { purge } = connection;
    if (purge === undefined) return { done: true, receipt: undefined };
    const receipt = takesAway(purge) ? purge : undefined;
    for (const model of purge.removed)
      if (await this.#removeBatch(connection, purge, model)) return { done: false, receipt };
    const packs = await this.#outdatedPacks(connection, purge);
    for (const pack of packs) await this.packs.sealAnew(connection, purge, pack);
    if (packs.length > 0) return { done: false, receipt };
    await this.#forgetHashes(connection, purge);
    return { done: true, receipt: await this.#end(connection, purge) };
  }

  async #outdatedPacks({ _id: c }: ConnectionDocument, { e }: PurgeDocument): Promise<PackDocument[]> {
    return this.db.packs
      .find({ c, e: { $lt: e } })
      .sort({ e: 1, _id: 1 })
      .limit(PACKS_A_STEP)
      .toArray();
  }

  /** Removes a batch of what is stored of a model; whether there was any. Its packs go with the others'. */
  async #removeBatch(connection: ConnectionDocument, purge: PurgeDocument, m: string): Promise<boolean> {
    const c = connection._id;
    const records = await this.db.records
      .find({ _id: recordKeys(c, m) }, { projection: { _id: 1 } })
      .limit(REMOVE_BATCH)
      .toArray();
    const prefix = modelPrefix(c, m);
    const versions = await this.db.versions
      .find(
        { _id: { $gte: { k: prefix, v: 0 }, $lt: { k: `${modelKey(c, m)};`, v: 0 } } },
        { projection: { _id: 1 } },
      )
      .limit(REMOVE_BATCH)
      .toArray();
    if (records.length + versions.length === 0) {
      await this.#removeTraces(c, m);
      return false;
    }
    await withTransaction(this.db.client, async (session) => {
      const removed = await this.db.records.deleteMany(
        { _id: { $in: records.map(({ _id }) => _id) } },
        { session },
      );
      const purged = await this.db.versions.deleteMany(
        { _id: { $in: versions.map(({ _id }) => _id) } },
        { session },
      );
      await this.packs.count(session, connection, purge, {
        removedRecords: removed.deletedCount,
        purgedVersions: purged.deletedCount,
      });
    });
    return true;
  }

  /** What names records of a model beside themselves. The log keeps its sequences, and what they were is forgotten. */
  async #removeTraces(c: string, m: string): Promise<void> {
    await this.db.runs.deleteMany({ c, m });
    await this.db.seen.deleteMany({
      _id: { $gte: { c, run: `${m}:`, page: Number.MIN_SAFE_INTEGER }, $lt: { c, run: `${m};`, page: 0 } },
    });
    await this.db.models.deleteOne({ _id: modelKey(c, m) });
    const nothing = { i: [], v: [], o: new Binary(new Uint8Array(0)), x: {} };
    await this.db.commits.updateMany({ c, m, 'i.0': { $exists: true } }, { $set: nothing });
  }

  /** Tombstones keep the hashes of a content that is gone; nobody can make them anew. */
  async #forgetHashes({ _id: c }: ConnectionDocument, { narrowed, indexed }: PurgeDocument): Promise<void> {
    const m = { $in: [...narrowed, ...indexed] };
    await this.db.records.updateMany(
      { c, m, h: { $exists: true }, o: OPERATION.DELETED },
      { $unset: { h: 1 } },
    );
  }

  async #end(connection: ConnectionDocument, purge: PurgeDocument): Promise<Receipt | undefined> {
    const c = connection._id;
    const models = [...purge.narrowed, ...purge.removed];
    return withTransaction(this.db.client, async (session) => {
      const { deletedCount } = await this.db.quarantine.deleteMany({ c, m: { $in: models } }, { session });
      const ended = await this.db.connections.updateOne(
        { _id: c, 'purge.revision': purge.revision },
        { $unset: { purge: 1 }, $pull: { payloadKeys: { e: { $lt: purge.e } } } },
        { session },
      );
      if (ended.matchedCount !== 1) throw new CommitConflict('the scope changed again');
      if (!takesAway(purge)) return undefined;
      const { e: _key, indexed: _indexed, ...rest } = purge;
      const receipt: ReceiptDocument = {
        ...rest,
        _id: { c, revision: purge.revision },
        c,
        purgedQuarantine: purge.purgedQuarantine + deletedCount,
        endedAt: new Date(),
      };
      await this.db.receipts.insertOne(receipt, { session });
      return receipt;
    });
  }
}

function takesAway({ narrowed, removed }: PurgeDocument): boolean {
  return narrowed.length + removed.length > 0;
}
