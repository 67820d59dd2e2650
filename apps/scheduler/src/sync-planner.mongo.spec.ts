import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { SyncKind } from '@tidemark/model';
import { createLogger } from '@tidemark/runtime';
import type { Connection } from './connection.js';
import { ConnectionStatuses } from './connection-statuses.js';
import { MongoCadences } from './mongo-cadences.js';
import type { ControlDatabase } from './mongo-collections.js';
import { MongoConnections } from './mongo-connections.js';
import { MongoRuns } from './mongo-runs.js';
import { MongoUptime } from './mongo-uptime.js';
import { RunRequests } from './run-requests.js';
import type { Run } from './run.js';
import { SyncPlanner } from './sync-planner.js';
import { aConnection, aModel } from './testing/a-connection.js';
import { testControlDatabase } from './testing/control-database.js';

const logger = createLogger({ service: 'test', level: 'error' });
const hr = { tenantId: 'acme', id: 'hr' };
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DELTA = { full: true, delta: true, webhook: true, deltaDeletes: false };
const ago = (ms: number) => new Date(Date.now() - ms);

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let db: ControlDatabase;
let connections: MongoConnections;
let runs: MongoRuns;
let cadences: MongoCadences;
let planner: SyncPlanner;
/** When connections are to be woken. */
let wakeUps: Map<string, Date | undefined>;

beforeAll(async () => {
  database = await testControlDatabase();
  db = database.db;
  connections = new MongoConnections(db);
  runs = new MongoRuns(db);
  cadences = new MongoCadences(db);
});
afterAll(() => database.drop());
beforeEach(async () => {
  for (const collection of [db.connections, db.runs, db.cadences]) await collection.deleteMany({});
  await db.uptime.deleteMany({});
  // Schedulers have been at work for a day.
  await db.uptime.insertOne({ _id: 'schedulers', since: ago(24 * HOUR), seen: new Date() });
  wakeUps = new Map();
  planner = newPlanner();
});

/** That of another process, where there is one. */
function newPlanner(): SyncPlanner {
  const schedules = {
    wakeAt: async ({ id }: { id: string }, time: Date) => void wakeUps.set(id, time),
    remove: async ({ id }: { id: string }) => void wakeUps.set(id, undefined),
  };
  const uptime = new MongoUptime(db, logger);
  const requests = new RunRequests(runs, cadences, () => undefined);
  return new SyncPlanner({ connections, runs, cadences, uptime, schedules, requests, logger });
}

async function insert(changes: Partial<Connection> = {}): Promise<Connection> {
  const connection = aConnection({ createTime: ago(10 * HOUR), ...changes });
  await connections.insert(connection);
  await cadences.open(connection, []);
  return connection;
}

const withDelta = () => insert({ catalogue: [aModel('employees', { capabilities: DELTA })] });
const asked = async () => (await runs.unfinished('acme')).map(({ model, kind }) => `${kind} ${model}`);
const wakeIn = () => (wakeUps.get('hr')?.getTime() ?? NaN) - Date.now();

/** A run from its request to its end. */
async function carry(connection: Connection, kind: SyncKind, start: Date, ends = true): Promise<Run> {
  const [waiting] = await new RunRequests(runs, cadences, () => undefined).start(
    connection,
    [{ model: 'employees', kind }],
    'MANUAL',
  );
  const run = waiting && (await runs.start(waiting, 1, start));
  if (run === undefined) throw new Error('it was asked for');
  await cadences.started(run);
  if (!ends) return run;
  await cadences.succeeded(run, start, true);
  return (await runs.progress(run, { state: 'SUCCEEDED', endTime: start })) ?? run;
}

describe('planning', () => {
  test('asks for what is due, once, however many plan it', async () => {
    await insert();
    await Promise.all([planner, newPlanner(), planner].map((each) => each.plan(hr)));
    await newPlanner().plan(hr);
    expect(await asked()).toEqual(['FULL employees']);
    expect(wakeIn()).toBeGreaterThan(0);
  });

  test('wakes the connection when the next one is due', async () => {
    const connection = await withDelta();
    await carry(connection, 'FULL', ago(MINUTE));
    await planner.plan(hr);
    expect(await asked()).toEqual([]);
    expect(wakeIn()).toBeGreaterThan(3 * MINUTE);
    expect(wakeIn()).toBeLessThanOrEqual(4 * MINUTE);
  });

  test('asks for deltas before full syncs', async () => {
    const connection = await withDelta();
    await carry(connection, 'FULL', ago(30 * HOUR));
    await planner.plan(hr);
    const [first] = await runs.due(new Date(Date.now() + 1_000));
    expect([first?.kind, await asked()]).toEqual(['DELTA', ['DELTA employees', 'FULL employees']]);
  });

  test('believes in webhooks once they came', async () => {
    const connection = await withDelta();
    await carry(connection, 'FULL', ago(MINUTE));
    await carry(connection, 'WEBHOOK', ago(MINUTE));
    await planner.plan(hr);
    const [plan] = await planner.preview(new Date(), [
      { connection, cadences: (await cadences.find(hr)) ?? [], unfinished: [] },
    ]);
    expect(plan?.next).toContainEqual(
      expect.objectContaining({ kind: 'DELTA', intervalMs: 30 * MINUTE, webhooks: 'COME' }),
    );
  });

  test('counts a run of the schedule that was cancelled before it started', async () => {
    await insert();
    await planner.plan(hr);
    const [run] = await runs.unfinished('acme');
    if (run === undefined) throw new Error('it was asked for');
    await runs.change(run, { state: 'CANCELLED', endTime: new Date() });
    await planner.plan(hr);
    expect(await asked()).toEqual([]);
  });

  test.each(['PAUSED', 'NEEDS_ATTENTION', 'DISABLED'] as const)(
    'asks for nothing of a connection that is %s, and looks again',
    async (state) => {
      await insert({ state });
      await planner.plan(hr);
      expect(await asked()).toEqual([]);
      expect(wakeIn()).toBeGreaterThan(0);
    },
  );

  test('leaves a run alone that a person paused', async () => {
    await insert();
    await planner.plan(hr);
    const [run] = await runs.unfinished('acme');
    if (run === undefined) throw new Error('it was asked for');
    await runs.change(run, { state: 'PAUSED' });
    await planner.plan(hr);
    expect(await asked()).toEqual(['FULL employees']);
  });

  test('asks for nothing of a model that is not in scope, nor of one that is never due', async () => {
    await insert({ schedule: { fullMs: 0, models: {} }, catalogue: [aModel('employees'), aModel('jobs')] });
    await planner.plan(hr);
    expect([await asked(), wakeUps.get('hr')]).toEqual([[], undefined]);
  });

  test('of a connection that is gone or being deleted takes its wake-up away', async () => {
    await planner.plan(hr);
    await insert({ state: 'DELETING', id: 'crm' });
    await planner.plan({ ...hr, id: 'crm' });
    expect(wakeUps).toEqual(
      new Map([
        ['hr', undefined],
        ['crm', undefined],
      ]),
    );
  });

  test('takes from its runs what a connection of before there were cadences did', async () => {
    const connection = await withDelta();
    await carry(connection, 'FULL', ago(MINUTE));
    const before = await cadences.find(hr);
    await db.cadences.deleteMany({});
    // A run's certificate is in its end, which this one has not.
    await db.runs.updateMany({}, { $set: { certificate: { certified: true } as never } });
    await planner.plan(hr);
    expect(await asked()).toEqual([]);
    expect(await cadences.find(hr)).toEqual(before);
  });

  test('after a time without schedulers starts no herd', async () => {
    await db.uptime.updateOne({ _id: 'schedulers' }, { $set: { seen: ago(2 * MINUTE) } });
    const ids = Array.from({ length: 100 }, (_, i) => `c${i}`);
    for (const id of ids) await insert({ id });
    const back = newPlanner();
    await Promise.all(ids.map((id) => back.plan({ ...hr, id })));
    expect((await asked()).length).toBeLessThan(5);
    const waits = ids.map((id) => (wakeUps.get(id)?.getTime() ?? NaN) - Date.now());
    expect(Math.max(...waits)).toBeLessThanOrEqual(5 * MINUTE);
    expect(waits.filter((ms) => ms > MINUTE).length).toBeGreaterThan(50);
  });
});

test('a scheduler that comes back within a minute makes no break', async () => {
  const since = await new MongoUptime(db, logger).since();
  expect(since.getTime()).toBeLessThan(Date.now() - HOUR);
  expect(await new MongoUptime(db, logger).since()).toEqual(since);
  await db.uptime.updateOne({ _id: 'schedulers' }, { $set: { seen: ago(2 * MINUTE) } });
  expect((await new MongoUptime(db, logger).since()).getTime()).toBeGreaterThan(since.getTime());
});

describe('a status', () => {
  const statuses = () =>
    new ConnectionStatuses(
      connections,
      runs,
      cadences,
      planner,
      // What the store counts and how breakers stand is told elsewhere.
      { getStatistics: async () => ({ models: [], sequence: 0n, changedAt: undefined }) },
      { breakersOf: () => ({ own: undefined, connectors: undefined }) },
    );

  test('tells what runs next, when and why, and what waits for what', async () => {
    const connection = await withDelta();
    const full = await carry(connection, 'FULL', ago(MINUTE));
    const running = await carry(connection, 'FULL', new Date(), false);
    await new RunRequests(runs, cadences, () => undefined).start(
      connection,
      [{ model: 'employees', kind: 'DELTA' }],
      'MANUAL',
    );
    const status = await statuses().of(connection);
    const [model] = status.models;
    // One that waits comes next as of the moment of asking.
    const again = { ...model, nextDeltaTime: expect.any(Date) as unknown };
    expect(await statuses().ofTenant('acme')).toEqual([{ ...status, models: [again] }]);
    expect(model).toMatchObject({
      lastFullTime: full.endTime,
      nextFullReason: expect.stringMatching(/^one is running since .* UTC; full every 1 d$/),
      nextDeltaReason: 'one waits for its turn',
      unfinishedRuns: [
        { runId: running.id, summary: 'Read 0 records so far.' },
        { summary: 'Waits: a full of employees is running.' },
      ],
    });
    expect(model?.lastRunId).toBe(model?.unfinishedRuns[1]?.runId);
  });

  test('of a connection that is paused says so', async () => {
    const status = await statuses().of(await insert({ state: 'PAUSED' }));
    expect(status.models).toMatchObject([
      { nextFullTime: undefined, nextFullReason: 'the connection is paused', nextDeltaReason: '' },
    ]);
  });
});
