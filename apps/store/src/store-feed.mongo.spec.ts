import { setTimeout as sleep } from 'node:timers/promises';
import { SyncKind } from '@tidemark/contracts';
import { createLogger } from '@tidemark/runtime';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Followers, News } from './feed-followers.js';
import { MongoChangeFeed } from './mongo-change-feed.js';
import { MongoPacks } from './mongo-packs.js';
import { employee, many } from './testing/employees.js';
import { follow, type Followed } from './testing/follow.js';
import { startStore, type StoreHarness, type TestRecord } from './testing/harness.js';
import { newWriter, uidOf } from './testing/writers.js';

let harness: StoreHarness;
const watches: Followed[] = [];

beforeAll(async () => {
  harness = await startStore();
});
afterEach(async () => {
  jest.restoreAllMocks();
  await Promise.all(watches.splice(0).map((watch) => watch.stop()));
});
afterAll(async () => {
  await harness.stop();
});

type Request = Parameters<typeof follow>[1];

function watch(request: Request): Followed {
  const followed = follow(harness, request);
  watches.push(followed);
  return followed;
}

/** A watch that stands: what is committed from now on comes to it. */
async function standing(request: Request): Promise<Followed> {
  const followed = watch(request);
  await followed.until(() => followed.responses.length > 0);
  return followed;
}

const sequences = (followed: Followed) => followed.changes().map(({ record }) => Number(record?.sequence));
const last = (followed: Followed) => sequences(followed).at(-1) ?? 0;

describe('the change stream', () => {
  const streams = async (): Promise<number> => {
    const { client, db } = harness.database;
    const pipeline = [
      { $currentOp: { idleCursors: true, allUsers: true } },
      {
        $match: {
          'cursor.originatingCommand.$db': db.databaseName,
          'cursor.originatingCommand.pipeline.0.$changeStream': { $exists: true },
        },
      },
      { $group: { _id: '$cursor.cursorId' } },
    ];
    return (await client.db('admin').aggregate(pipeline, { readConcern: 'local' }).toArray()).length;
  };
  const until = async (holds: () => Promise<boolean>) => {
    while (!(await holds())) await sleep(10);
  };

  it('is there while somebody watches, and only then', async () => {
    await Promise.all(watches.splice(0).map((each) => each.stop()));
    const logs: string[] = [];
    const logger = createLogger({ service: 'store', level: 'info', destination: (line) => logs.push(line) });
    const feed = new MongoChangeFeed(
      harness.db,
      new MongoPacks(harness.db, harness.store.cabinet),
      logger,
      20,
    );
    const before = await streams();
    for (const round of [1, 2, 3]) {
      await Promise.all([feed.attach(), feed.attach()]);
      expect(feed.epoch).toBe(round);
      expect(await streams()).toBe(before + 1);
      feed.detach();
      await sleep(50);
      expect(await streams()).toBe(before + 1);
      feed.detach();
      await until(async () => (await streams()) === before);
    }
    await feed.attach();
    feed.detach();
    await feed.attach();
    await sleep(50);
    expect(feed.epoch).toBe(4);
    await feed.stop();
    await feed.attach();
    await until(async () => (await streams()) === before);
    expect(logs).toEqual([]);
  });
});

describe('a watcher', () => {
  it('is told nothing of connections that it does not watch', async () => {
    const [a, b] = [await newWriter(harness), await newWriter(harness)];
    const [uidA, uidB] = [await uidOf(a), await uidOf(b)];
    const told = jest.spyOn(News.prototype, 'tell');
    const looked = jest.spyOn(harness.store.feed, 'next');
    const [ofA, ofB] = [
      await standing({ connectionIds: [a.connectionId] }),
      await standing({ connectionIds: [b.connectionId] }),
    ];
    const run = await b.begin('employees', 'run-1', SyncKind.DELTA);
    for (let level = 1; level <= 10; level++) await run.page([employee('e', level)]);
    await ofB.until(() => last(ofB) === 10);
    expect(told.mock.calls.filter(([uid]) => uid === uidA)).toEqual([]);
    expect(looked.mock.calls.map(([{ _id }]) => _id)).toEqual(Array.from({ length: 10 }, () => uidB));
    expect(ofA.changes()).toEqual([]);
  });

  it('of all connections looks only at those that there is news of', async () => {
    const writers = await Promise.all(Array.from({ length: 5 }, () => newWriter(harness)));
    const all = await standing({});
    await all.until(() =>
      writers.every(({ connectionId }) => all.responses.some((r) => r.connectionId === connectionId)),
    );
    const looked = jest.spyOn(harness.store.feed, 'next');
    const [, , third] = writers;
    if (third === undefined) throw new Error('no writer');
    const uid = await uidOf(third);
    const run = await third.begin('employees', 'run-1', SyncKind.DELTA);
    for (let level = 1; level <= 5; level++) await run.page([employee('e', level)]);
    await all.until(() => all.changes().length === 5);
    expect(looked.mock.calls.map(([{ _id }]) => _id)).toEqual(Array.from({ length: 5 }, () => uid));
  });

  it('asks the database for nothing that the change stream brought', async () => {
    const writer = await newWriter(harness);
    const crowd: Followed[] = [];
    for (let i = 0; i < 5; i++) crowd.push(await standing({ connectionIds: [writer.connectionId] }));
    const entries = jest.spyOn(harness.db.commits, 'findOne');
    const packs = jest.spyOn(harness.db.packs, 'find');
    const run = await writer.begin('employees', 'run-1', SyncKind.DELTA);
    await run.page(many(600));
    await run.page([employee('e00000', 2), ['e00001', null]]);
    await run.page([['e00002', null]]);
    for (const each of crowd) await each.until(() => last(each) === 603);
    // Writers look for single packs, to compare.
    const ranges = packs.mock.calls.filter(([filter]) => filter?._id !== undefined && '$gt' in filter._id);
    expect([entries.mock.calls, ranges]).toEqual([[], []]);
    for (const each of crowd) expect(each.changes()).toEqual(crowd[0]?.changes());
    expect(crowd[0]?.changes().slice(-3)).toMatchObject([
      { operation: 2, changedFields: ['level'], record: { id: 'e00000' } },
      { operation: 3, record: { id: 'e00001', data: Buffer.alloc(0) } },
      { operation: 3, record: { id: 'e00002' } },
    ]);
  });

  it('gets what is too large to be brought along all the same', async () => {
    const writer = await newWriter(harness);
    const live = await standing({ connectionIds: [writer.connectionId] });
    const run = await writer.begin('employees', 'run-1', SyncKind.DELTA);
    const noise = (i: number) =>
      Array.from({ length: 9_000 }, (_, k) => Math.sin(i * 9_000 + k).toString(36)).join('');
    const large = (i: number): TestRecord => [`e${i}`, { id: `e${i}`, name: noise(i) }];
    await run.page([large(1), large(2), large(3)]);
    await run.page([employee('small')]);
    await live.until(() => last(live) === 4);
    expect(
      live.changes().map(({ record }) => JSON.parse(Buffer.from(record?.data ?? '').toString()) as unknown),
    ).toEqual([large(1), large(2), large(3), employee('small')].map(([, content]) => content));
  });

  it('leaves nothing behind when it ends', async () => {
    const writer = await newWriter(harness);
    const uid = await uidOf(writer);
    const live = await standing({ connectionIds: [writer.connectionId] });
    await writer.full('employees', 'run-1', [employee('a')]);
    await live.until(() => last(live) === 1);
    expect(harness.store.feed.head(uid)).toBeGreaterThan(0);
    await live.stop();
    await live.until(() => harness.store.feed.head(uid) === undefined);
    const refused = watch({ connectionIds: [writer.connectionId], cursors: ['forged'] });
    expect(await refused.ended).toMatchObject({ reason: 'CURSOR_INVALID' });
    await writer.full('employees', 'run-2', [employee('a', 2)]);
    // Whatever is told now, is told to those who are left: nobody.
    const later = await standing({ connectionIds: [writer.connectionId] });
    await later.stop();
    await later.until(() => harness.store.feed.head(uid) === undefined);
  });

  it('finds news that nobody told, with the next watermark', async () => {
    const writer = await newWriter(harness);
    const live = await standing({ connectionIds: [writer.connectionId] });
    const deaf = jest.spyOn(Followers.prototype, 'committed').mockReturnValue(false);
    const run = await writer.begin('employees', 'run-1', SyncKind.DELTA);
    await run.page([employee('a')]);
    await live.until(() => deaf.mock.calls.length > 0);
    deaf.mockRestore();
    await live.until(() => last(live) === 1);
  });
});
