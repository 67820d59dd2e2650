import { SyncKind, type FinishRunResponse } from '@tidemark/contracts';
import { isTidemarkError } from '@tidemark/model';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { testDatabase } from '../../../jest/database.js';
import { startFaultyMongo, type Fault, type FaultyMongo } from '../../../jest/faulty-mongo.js';
import { startLossyProxy, type LossyProxy } from '../../../jest/lossy-proxy.js';
import { expectWhole } from './testing/exact-store.js';
import {
  startStore,
  TestWriter,
  type StoreHarness,
  type TestRecord,
  type TestRun,
} from './testing/harness.js';

const FIELDS = { employees: ['id', 'level'] };
const OFTEN = 5;
const CALLER = { deadlineMs: 100_000 };

/** A store whose client alone is hit by faults: by its name at the database, or on its way there. */
interface World {
  readonly mongo: FaultyMongo;
  readonly proxy: LossyProxy;
  readonly appName: string;
  readonly harness: StoreHarness;
  stop(): Promise<void>;
}

async function startWorld(): Promise<World> {
  const mongo = await startFaultyMongo();
  const proxy = await startLossyProxy(mongo.uri);
  const appName = 'tidemark-store-under-faults';
  const database = await testDatabase(proxy.uri, appName);
  const harness = await startStore(database);
  const stop = async () => {
    await harness.stop();
    await database.client.close();
    await proxy.stop();
    await mongo.stop();
  };
  return { mongo, proxy, appName, harness, stop };
}

/** Faults that last, by the command that meets them, and what they leave to say of the page. */
const NEVER: Record<string, { outcome: RegExp; failure: Omit<Fault, 'failCommands'> }> = {
  insert: { outcome: /Nothing was written/, failure: { errorCode: 112 } },
  commitTransaction: {
    outcome: /unknown/,
    failure: { writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } },
  },
};

let world: World;
let names = 0;
/** Pages that were sent before all tests into faults that last: their budget is half a minute. */
const refused = new Map<string, ReturnType<typeof sendInVain>>();

beforeAll(async () => {
  world = await startWorld();
  for (const command of Object.keys(NEVER)) refused.set(command, sendInVain(await startWorld(), command));
});
afterAll(() => world.stop());

async function sendInVain(one: World, command: string) {
  const { writer, run } = await nextRun(one);
  await one.mongo.fail(one.appName, 'always', { failCommands: [command], ...NEVER[command]?.failure });
  const page = one.harness.writing.commitPage(run.message(AFTER), CALLER);
  const failure: unknown = await page.then(
    () => undefined,
    (error: unknown) => error,
  );
  return { one, writer, run, failure, met: await one.mongo.heal() };
}

const employee = (id: string, level = 1): TestRecord => [id, { id, level }];
const BEFORE = [employee('a'), employee('b'), employee('c')];
const AFTER = [employee('a', 2), employee('b'), employee('d')];

/** A connection with three records, and the next snapshot's run before its first page. */
async function nextRun({ harness }: World): Promise<{ writer: TestWriter; run: TestRun }> {
  const writer = new TestWriter(harness, `faults-${names++}`);
  await writer.open(FIELDS);
  await writer.full('employees', 'run-1', BEFORE);
  return { writer, run: await writer.begin('employees', 'run-2') };
}

/** The page of `AFTER` was committed once and no more, whatever happened on the way, and the run goes on behind it. */
async function expectCommittedOnce(writer: TestWriter, run: TestRun): Promise<void> {
  const counted = {
    read: 3n,
    created: 1n,
    updated: 1n,
    unchanged: 1n,
    deleted: 0n,
    quarantined: 0n,
    stale: 0n,
  };
  const begun = await writer.harness.writing.beginRun({ lease: { ...run.lease, epoch: ++writer.epoch } });
  expect(begun).toMatchObject({ pages: 1n, counters: counted, recordCount: 4n });
  expect(Buffer.from(begun.checkpoint).toString()).toBe('checkpoint 0');
  const versions = await expectWhole(writer.harness, writer.connectionId);
  const written = versions.slice(BEFORE.length).map(({ id, version }) => `${id} ${version}`);
  expect(written).toEqual(['a 2', 'd 1']);
  const { records } = await writer.records();
  const contents = records.map(({ id, data }) => [id, Buffer.from(data).toString()]).sort();
  expect(contents).toEqual([
    ['a', '{"id":"a","level":2}'],
    ['b', '{"id":"b","level":1}'],
    ['c', '{"id":"c","level":1}'],
    ['d', '{"id":"d","level":1}'],
  ]);
}

const COMMANDS: [command: string, collection: string][] = [
  ['findAndModify', 'clocks'],
  ['insert', 'versions'],
  ['insert', 'records'],
  ['update', 'records'],
  ['insert', 'packs'],
  ['insert', 'commits'],
  ['update', 'models'],
  ['insert', 'seen'],
  ['update', 'runs'],
  ['commitTransaction', ''],
];

const FAILURES: [name: string, failure: Omit<Fault, 'failCommands'>][] = [
  ['a write conflict', { errorCode: 112 }],
  ['an aborted transaction', { errorCode: 251 }],
  ['a primary that steps down', { errorCode: 189 }],
  ['a broken connection', { closeConnection: true }],
];

const fault = (command: string, collection: string, failure: Omit<Fault, 'failCommands'>): Fault => {
  const namespace = `${world.harness.database.db.databaseName}.${collection}`;
  return { failCommands: [command], ...(collection === '' ? {} : { namespace }), ...failure };
};

describe.each(FAILURES)('a commit that meets %s', (_, failure) => {
  it.each(COMMANDS)('at %s %s is made once', async (command, collection) => {
    for (const times of [1, 2, OFTEN]) {
      const { writer, run } = await nextRun(world);
      await world.mongo.fail(world.appName, times, fault(command, collection, failure));
      await run.page(AFTER);
      expect(await world.mongo.heal()).toBe(times);
      await expectCommittedOnce(writer, run);
    }
  });
});

describe('a commit whose result the database does not confirm', () => {
  it.each([
    [
      'a write concern error',
      { writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } },
    ],
    ['a step-down while it waits', { writeConcernError: { code: 189, errmsg: 'stepped down' } }],
    ['an unknown result', { errorCode: 50, errorLabels: ['UnknownTransactionCommitResult'] }],
  ])('is resolved after %s, not made again', async (_, failure) => {
    for (const times of [1, 2, OFTEN]) {
      const { writer, run } = await nextRun(world);
      await world.mongo.fail(world.appName, times, fault('commitTransaction', '', failure));
      await run.page(AFTER);
      expect(await world.mongo.heal()).toBe(times);
      await expectCommittedOnce(writer, run);
    }
  });
});

describe('an answer that is lost on the way', () => {
  it.each(['findAndModify', 'insert', 'update', 'commitTransaction'])(
    'to %s repeats nothing',
    async (command) => {
      for (const times of [1, 2, OFTEN]) {
        const { writer, run } = await nextRun(world);
        world.proxy.loseAnswers(command, times);
        await run.page(AFTER);
        expect(world.proxy.lost).toBe(times);
        await expectCommittedOnce(writer, run);
      }
    },
  );

  it('to the end of a run ends it once, with its deletes and markers', async () => {
    for (const command of ['findAndModify', 'insert', 'update', 'commitTransaction']) {
      const { writer, run } = await nextRun(world);
      await run.page([employee('a'), employee('b')]);
      world.proxy.loseAnswers(command, 2);
      expect(await finish(run)).toMatchObject({ done: true, counters: { deleted: 1n } });
      expect(world.proxy.lost).toBe(2);
      const versions = await expectWhole(world.harness, writer.connectionId);
      expect(versions.map(({ id, version }) => `${id} ${version}`)).toEqual(['a 1', 'b 1', 'c 1', 'c 2']);
      // Two of the first run (its first snapshot, its end), one of the second.
      const marks = await world.harness.db.commits.countDocuments({
        c: await uid(writer),
        mark: { $exists: true },
      });
      expect(marks).toBe(3);
    }
  });

  it('to the beginning of a run begins it once', async () => {
    for (const command of ['find', 'insert']) {
      const writer = new TestWriter(world.harness, `faults-${names++}`);
      await writer.open(FIELDS);
      world.proxy.loseAnswers(command, 1);
      const run = await writer.begin('employees', 'run-1', SyncKind.DELTA);
      expect(world.proxy.lost).toBe(1);
      await run.page(BEFORE);
      expect(await expectWhole(world.harness, writer.connectionId)).toHaveLength(3);
    }
  });
});

it.each(Object.keys(NEVER))(
  'a page whose transaction never succeeds at %s is DATABASE_UNAVAILABLE',
  async (command) => {
    const { one, writer, run, failure, met } = await required(refused.get(command));
    expect(failure).toMatchObject({ reason: 'DATABASE_UNAVAILABLE', message: NEVER[command]?.outcome });
    expect(met).toBeGreaterThan(OFTEN);
    // Sent again it is committed once, though it may have been already.
    await run.page(AFTER);
    await expectCommittedOnce(writer, run);
    await one.stop();
  },
  120_000,
);

/** Ends a run, again if need be: outside a transaction the driver tries once more, and no more. */
async function finish(run: TestRun): Promise<FinishRunResponse> {
  try {
    return await run.finish();
  } catch (error) {
    if (!isTidemarkError(error, 'DATABASE_UNAVAILABLE')) throw error;
    return finish(run);
  }
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('this is not there');
  return value;
}

async function uid({ connectionId }: TestWriter): Promise<string> {
  const connection = await world.harness.db.connections.findOne({ name: connectionId });
  return connection?._id ?? '';
}
