import { setTimeout as sleep } from 'node:timers/promises';
import { SyncKind, WatchStart, type WatchChangesResponse } from '@tidemark/contracts';
import { forTenant } from '@tidemark/rpc';
import { createLogger } from '@tidemark/runtime';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { testDatabase, type TestDatabase } from '../../../jest/database.js';
import { startFaultyMongo, type Fault, type FaultyMongo } from '../../../jest/faulty-mongo.js';
import { startLossyProxy, type LossyProxy } from '../../../jest/lossy-proxy.js';
import { expectWhole } from './testing/exact-store.js';
import { startStore, TestWriter, type StoreHarness } from './testing/harness.js';

const APP_NAME = 'tidemark-store-of-the-watchers';
const BROKE = 'the change stream broke';

let mongo: FaultyMongo;
let proxy: LossyProxy;
let databases: TestDatabase[];
/** The store that is watched, whose change stream is broken; and one more that writes undisturbed. */
let watched: StoreHarness;
let writing: StoreHarness;
const log: string[] = [];
let names = 0;

beforeAll(async () => {
  mongo = await startFaultyMongo({ oplogSizeMB: 4 });
  proxy = await startLossyProxy(mongo.uri);
  const database = await testDatabase(proxy.uri, APP_NAME);
  const direct = await testDatabase(mongo.uri, undefined, database.db.databaseName);
  databases = [database, direct];
  const logger = createLogger({ service: 'store', level: 'info', destination: (line) => log.push(line) });
  watched = await startStore(database, {}, logger);
  writing = await startStore(direct);
});
afterAll(async () => {
  await watched.stop();
  await writing.stop();
  await Promise.all(databases.map(({ client }) => client.close()));
  await proxy.stop();
  await mongo.stop();
});

/** One watch that is never begun again: whatever ends it is a failure. */
class Watcher {
  readonly seen: string[] = [];
  readonly late: string[] = [];
  failure: unknown;
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;
  #through = 0;

  constructor(connectionIds: string[]) {
    this.#ended = this.#follow(connectionIds).catch((error: unknown) => {
      if (!this.#abort.signal.aborted) this.failure = error;
    });
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#ended;
  }

  async #follow(connectionIds: string[]): Promise<void> {
    const stream = watched.reading.watchChanges(
      { connectionIds, start: WatchStart.FROM_OLDEST },
      { metadata: forTenant('acme'), signal: this.#abort.signal },
    );
    for await (const response of stream) this.#take(response);
  }

  #take({ changes, completeThrough }: WatchChangesResponse): void {
    for (const { record } of changes) {
      this.seen.push(`${record?.id} ${record?.version} ${record?.sequence}`);
      if (Number(record?.changedAt) <= this.#through) this.late.push(String(record?.sequence));
    }
    this.#through = Math.max(this.#through, Number(completeThrough ?? 0));
  }
}

/** A connection with a writer that never rests, and with watchers. */
class Scene {
  readonly watchers: Watcher[];
  pages = 0;
  #resting = false;
  #written: Promise<void> | undefined;

  constructor(readonly writer: TestWriter) {
    this.watchers = Array.from({ length: 3 }, () => new Watcher([writer.connectionId]));
  }

  start(): void {
    this.#written = this.#write();
  }

  async #write(): Promise<void> {
    const run = await this.writer.begin('employees', 'run', SyncKind.DELTA);
    while (!this.#resting) {
      const level = this.pages;
      await run.page(Array.from({ length: 3 }, (_, i) => [`e${(level + i) % 7}`, { id: `e${i}`, level }]));
      this.pages += 1;
      await sleep(5);
    }
  }

  /** Waits for more pages to be written. */
  async more(pages = 10): Promise<void> {
    const target = this.pages + pages;
    await until(() => this.pages >= target);
  }

  /** Ends the writing, and expects that each watcher saw all of it, once, in order. */
  async expectSeen(): Promise<void> {
    this.#resting = true;
    await this.#written;
    const stored = await expectWhole(writing, this.writer.connectionId);
    const expected = stored.map(({ id, version, sequence }) => `${id} ${version} ${sequence}`);
    for (const watcher of this.watchers) {
      await until(() => watcher.seen.length >= expected.length || watcher.failure !== undefined);
      expect(watcher.failure).toBeUndefined();
      expect(watcher.seen).toEqual(expected);
      expect(watcher.late).toEqual([]);
    }
  }

  async stop(): Promise<void> {
    this.#resting = true;
    await this.#written;
    await Promise.all(this.watchers.map((watcher) => watcher.stop()));
  }
}

let scene: Scene | undefined;
async function newScene(): Promise<Scene> {
  const writer = new TestWriter(writing, `feed-${names++}`);
  await writer.open({ employees: ['id', 'level'] });
  log.length = 0;
  scene = new Scene(writer);
  const { watchers } = scene;
  scene.start();
  await scene.more();
  // A watch begins once the change stream stands.
  await until(() => watchers.every(({ seen }) => seen.length > 0));
  return scene;
}
afterEach(async () => {
  await scene?.stop();
  scene = undefined;
});

const namespace = () => `${watched.database.db.databaseName}.$cmd.aggregate`;
const fail = (times: number, fault: Omit<Fault, 'namespace'>) =>
  mongo.fail(APP_NAME, times, { ...fault, namespace: namespace() });

describe('a change stream that cannot be resumed', () => {
  it.each([
    ['its history is lost', [1, 2, 4], { failCommands: ['getMore'], errorCode: 286 }],
    [
      'it fails for good',
      [1, 2, 4],
      { failCommands: ['getMore'], errorCode: 280, errorLabels: ['NonResumableChangeStreamError'] },
    ],
    [
      'its history is lost again and again',
      [1, 2, 4],
      { failCommands: ['getMore', 'aggregate'], errorCode: 286 },
    ],
    [
      'its connection breaks and is not taken up',
      [3, 6],
      { failCommands: ['getMore', 'aggregate'], closeConnection: true },
    ],
  ])('is told by the log alone when %s', async (_, counts, fault) => {
    for (const times of counts) {
      const here = await newScene();
      const { epoch } = watched.store.feed;
      await fail(times, fault);
      await until(() => isHealed(times));
      await here.more();
      await here.expectSeen();
      await here.stop();
      const warned = log.filter((line) => line.includes(BROKE));
      expect(warned.length).toBeGreaterThan(0);
      expect(watched.store.feed.epoch).toBeGreaterThan(epoch);
      expect(log.filter((line) => /"level":"(warn|error)"/.test(line))).toEqual(warned);
    }
  });
});

describe('a change stream that can be resumed', () => {
  it.each([
    ['a cursor that is not found', { errorCode: 43 }],
    ['a step-down', { errorCode: 189 }],
    ['an interruption', { errorCode: 11602 }],
    ['an unreachable host', { errorCode: 6 }],
    ['a broken connection', { closeConnection: true }],
  ])('shows nothing of %s', async (_, failure) => {
    const here = await newScene();
    await fail(3, { failCommands: ['getMore'], errorLabels: ['ResumableChangeStreamError'], ...failure });
    await until(() => isHealed(3));
    await here.more();
    await here.expectSeen();
  });
});

it('watchers do not notice that the cursor of the change stream is killed', async () => {
  const here = await newScene();
  for (let killed = 0; killed < 3; killed += 1) {
    const cursors = await feedCursor();
    await killCursors(cursors);
    await until(async () => (await feedCursors()).some((cursor) => String(cursor) !== String(cursors[0])));
    await here.more();
  }
  await here.expectSeen();
});

it('watchers do not notice that the oplog outran the change stream', async () => {
  const here = await newScene();
  const { epoch } = watched.store.feed;
  await here.more();
  const cursors = await feedCursor();
  proxy.hold('$cmd.aggregate');
  await until(() => proxy.held > 0);
  await here.more();
  await outrunOplog();
  await here.more();
  // What is left is the resume token, of an event that the database has forgotten.
  await killCursors(cursors);
  proxy.release();
  await until(() => log.some((line) => line.includes(BROKE)));
  await until(() => watched.store.feed.epoch > epoch);
  await here.more();
  await here.expectSeen();
  // The token's history is lost, or the place of a cursor that the database was still reading with when it was killed.
  expect(log.filter((line) => /"code":(286|136)\b/.test(line))).not.toEqual([]);
});

/** Whether the fault was met that often: MongoDB counts down, and then is well again. */
async function isHealed(times: number): Promise<boolean> {
  return (await mongo.met()) >= times;
}

/** The ids of the cursors of change streams that the watched store has open. */
async function feedCursors(): Promise<unknown[]> {
  const pipeline = [{ $currentOp: { idleCursors: true, allUsers: true } }, { $match: { appName: APP_NAME } }];
  const operations = await writing.database.client
    .db('admin')
    .aggregate(pipeline, { readConcern: 'local' })
    .toArray();
  const ids = operations.flatMap(({ cursor }) => {
    const found = cursor as { cursorId: unknown; tailable: boolean } | undefined;
    return found?.tailable === true ? [found.cursorId] : [];
  });
  return ids;
}

/** The one that it has open; between two of its commands, the database shows none for a moment. */
async function feedCursor(): Promise<unknown[]> {
  let cursors: unknown[] = [];
  await until(async () => (cursors = await feedCursors()).length > 0);
  expect(cursors).toHaveLength(1);
  return cursors;
}

async function killCursors(cursors: readonly unknown[]): Promise<void> {
  const answer = await writing.database.db.command({ killCursors: '$cmd.aggregate', cursors });
  expect(answer['cursorsKilled']).toEqual(cursors);
}

/** Writes to the database until what it remembers of its changes begins after this. */
async function outrunOplog(): Promise<void> {
  const { client, db } = writing.database;
  const oplog = client.db('local').collection('oplog.rs');
  const start = await oplog.find().sort({ $natural: -1 }).limit(1).next();
  const filler = 'x'.repeat(256 * 1024);
  const isOutrun = async () => {
    const first = await oplog.find().sort({ $natural: 1 }).limit(1).next();
    return String(first?.['ts']) > String(start?.['ts']);
  };
  while (!(await isOutrun())) {
    await db.collection('filler').insertMany(Array.from({ length: 20 }, () => ({ filler })));
    await sleep(200);
  }
  await db.collection('filler').drop();
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(20);
}
