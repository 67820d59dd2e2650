import { RecordServiceDefinition, StoreServiceDefinition } from '@tidemark/contracts';
import type { Keyring } from '@tidemark/model';
import { bind, fastDefinition, type ServiceBinding } from '@tidemark/rpc';
import { Resealing, type Logger } from '@tidemark/runtime';
import { KeyCabinet } from './connection-keys.js';
import { KeyedMutex } from './keyed-mutex.js';
import { MongoChangeFeed } from './mongo-change-feed.js';
import { MongoChangeWriter } from './mongo-change-writer.js';
import type { StoreDatabase } from './mongo-collections.js';
import { MongoCommitter } from './mongo-committer.js';
import { MongoConnections } from './mongo-connections.js';
import { MongoDeletePass } from './mongo-delete-pass.js';
import { MongoFinisher } from './mongo-finisher.js';
import { MongoGroupCommit } from './mongo-group-commit.js';
import { MongoHistory } from './mongo-history.js';
import { MongoLateArrivals } from './mongo-late-arrivals.js';
import { MongoPackPurge } from './mongo-pack-purge.js';
import { MongoPacks } from './mongo-packs.js';
import { MongoPagePlanner } from './mongo-page-planner.js';
import { MongoRecordReader } from './mongo-record-reader.js';
import { MongoRetention, type RetentionPeriods } from './mongo-retention.js';
import { MongoRuns } from './mongo-runs.js';
import { MongoScopeChanges } from './mongo-scope-changes.js';
import { MongoScopePurge } from './mongo-scope-purge.js';
import { MongoSealedSecrets } from './mongo-sealed-secrets.js';
import { MongoSeenKeys } from './mongo-seen-keys.js';
import { cursorKey, requireFormat } from './mongo-settings.js';
import { RecordServiceHandler, type ReadParts } from './record-service.js';
import { StoreServiceHandler, type StoreParts } from './store-service.js';

/** What the store's user decides. */
export interface StoreOptions {
  /** The master keys that connections' keys are sealed under. */
  readonly keyring: Keyring;
  readonly retention: RetentionPeriods;
  /** Pages of at least so many records are committed one by one, each planned while the one before it is written; 200 by default. */
  readonly largePage?: number;
}

/** The store's services on a database, with the parts that its process starts and stops. */
export interface Store {
  readonly services: readonly ServiceBinding[];
  readonly feed: MongoChangeFeed;
  readonly resealing: Resealing;
  readonly cabinet: KeyCabinet;
}

/**
 * Puts the store's parts together. Prepares the database; feed and resealing are the caller's to start and stop. Throws
 * CONFIG_INVALID for another version's database, KEY_UNAVAILABLE for one under another master key.
 */
export async function createStore(db: StoreDatabase, logger: Logger, options: StoreOptions): Promise<Store> {
  await requireFormat(db);
  await db.prepare();
  const cabinet = new KeyCabinet(options.keyring);
  const packs = new MongoPacks(db, cabinet);
  const connections = new MongoConnections(db, cabinet);
  const mutex = new KeyedMutex();
  const writer = new MongoChangeWriter(db, packs);
  const runs = new MongoRuns(db);
  const seenKeys = new MongoSeenKeys(db);
  const feed = new MongoChangeFeed(db, packs, logger);
  const reader = new MongoRecordReader(db, packs);
  const arrivals = new MongoLateArrivals(db, seenKeys);
  const planner = new MongoPagePlanner(db, cabinet, packs, runs, seenKeys, arrivals);
  const deletes = new MongoDeletePass(db, runs, seenKeys, writer);
  const groups = new MongoGroupCommit({ db, connections, runs, seenKeys, planner, writer });
  const packPurge = new MongoPackPurge(db, cabinet, packs, writer);
  const writing: StoreParts = {
    ...{ db, cabinet, connections, runs, seenKeys },
    committer: new MongoCommitter(connections, groups, mutex, options.largePage),
    finisher: new MongoFinisher(db, connections, runs, seenKeys, deletes, arrivals, writer, mutex),
    scopeChanges: new MongoScopeChanges(db, cabinet, writer),
    purge: new MongoScopePurge(db, connections, packPurge, mutex),
    retention: new MongoRetention(db, connections, packs, options.retention, mutex),
  };
  const history = new MongoHistory(db, packs, reader);
  const reading: ReadParts = {
    db,
    cabinet,
    connections,
    reader,
    history,
    feed,
    cursorKey: await cursorKey(db, options.keyring),
  };
  return {
    feed,
    resealing: new Resealing(new MongoSealedSecrets(db), options.keyring, logger),
    cabinet,
    services: [
      bind(fastDefinition(StoreServiceDefinition), new StoreServiceHandler(writing)),
      bind(fastDefinition(RecordServiceDefinition), new RecordServiceHandler(reading)),
    ],
  };
}
