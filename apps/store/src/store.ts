import { RecordServiceDefinition, StoreServiceDefinition } from '@tidemark/contracts';
import { bind, fastDefinition, type ServiceBinding } from '@tidemark/rpc';
import type { Logger } from '@tidemark/runtime';
import { KeyedMutex } from './keyed-mutex.js';
import { MongoChangeFeed } from './mongo-change-feed.js';
import type { StoreDatabase } from './mongo-collections.js';
import { MongoCommitter } from './mongo-committer.js';
import { MongoConnections } from './mongo-connections.js';
import { MongoFinisher } from './mongo-finisher.js';
import { MongoRecordReader } from './mongo-record-reader.js';
import { MongoRuns } from './mongo-runs.js';
import { MongoSeenKeys } from './mongo-seen-keys.js';
import { cursorKey } from './mongo-settings.js';
import { RecordServiceHandler } from './record-service.js';
import { StoreServiceHandler } from './store-service.js';

/** The store's services on a database, with the change feed that they share. */
export interface Store {
  readonly services: readonly ServiceBinding[];
  readonly feed: MongoChangeFeed;
}

/** Puts the store's parts together. Prepares the database; the feed is the caller's to start and stop. */
export async function createStore(db: StoreDatabase, logger: Logger): Promise<Store> {
  await db.prepare();
  const connections = new MongoConnections(db);
  const runs = new MongoRuns(db);
  const seenKeys = new MongoSeenKeys(db);
  const mutex = new KeyedMutex();
  const committer = new MongoCommitter(db, connections, runs, seenKeys, mutex);
  const finisher = new MongoFinisher(db, connections, runs, seenKeys, mutex);
  const reader = new MongoRecordReader(db);
  const feed = new MongoChangeFeed(db, logger);
  const writing = new StoreServiceHandler({ db, connections, runs, seenKeys, committer, finisher });
  const reading = new RecordServiceHandler({ db, connections, reader, feed, cursorKey: await cursorKey(db) });
  return {
    feed,
    services: [
      bind(fastDefinition(StoreServiceDefinition), writing),
      bind(fastDefinition(RecordServiceDefinition), reading),
    ],
  };
}
