import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { SyncRunState } from '@tidemark/model';
import { ConnectionStates } from './connection-states.js';
import type { ControlDatabase } from './mongo-collections.js';
import { MongoCadences } from './mongo-cadences.js';
import { MongoConnections } from './mongo-connections.js';
import { MongoRuns } from './mongo-runs.js';
import { RunActions } from './run-actions.js';
import { RunRequests } from './run-requests.js';
import { aConnection, aModel } from './testing/a-connection.js';
import { testControlDatabase } from './testing/control-database.js';

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let db: ControlDatabase;
let connections: MongoConnections;
let runs: MongoRuns;
let actions: RunActions;
let requests: RunRequests;
let states: ConnectionStates;
let wakes = 0;

const hr = { tenantId: 'acme', id: 'hr' };
const names = ['absences', 'employees', 'departments'];
const connection = aConnection({
  scope: { revision: 1, models: names.map((model) => ({ model, fields: ['id'], indexFields: [] })) },
  catalogue: [
    aModel('absences', { dependsOn: ['employees'] }),
    aModel('employees', { dependsOn: ['departments'] }),
    aModel('departments'),
  ],
});

beforeAll(async () => {
  database = await testControlDatabase();
  db = database.db;
  connections = new MongoConnections(db);
  runs = new MongoRuns(db);
  const wake = () => void wakes++;
  actions = new RunActions(runs, wake);
  requests = new RunRequests(runs, new MongoCadences(db), wake);
  states = new ConnectionStates(connections, actions);
});
afterAll(() => database.drop());
beforeEach(async () => {
  wakes = 0;
  await db.runs.deleteMany({});
  await db.connections.deleteMany({});
  await connections.insert(connection);
});

const startAll = () =>
  requests.start(
    connection,
    names.map((model) => ({ model, kind: 'FULL' as const })),
    'MANUAL',
  );
const stateOf = async (id: string) => (await actions.find('acme', id)).state;

describe('requests for runs', () => {
  test('of models that depend on each other go in their order, and wait for each other', async () => {
    const started = await startAll();
    expect(started.map(({ model }) => model)).toEqual(['departments', 'employees', 'absences']);
    expect(started.map(({ after }) => after)).toEqual([[], [started[0]?.id], [started[1]?.id]]);
    expect((await runs.due(new Date(Date.now() + 1_000))).map(({ id }) => id)).toEqual(
      started.map(({ id }) => id),
    );
    expect(wakes).toBe(1);
  });
});

describe('pausing a connection', () => {
  test('stops what waits at once, asks what runs, and resuming lets all go on', async () => {
    const [running, ...waiting] = await startAll();
    if (running === undefined) throw new Error('three were started');
    await runs.start(running, 1, new Date());
    expect(await states.pause(hr)).toMatchObject({ state: 'PAUSED' });
    expect(await actions.find('acme', running.id)).toMatchObject({ state: 'RUNNING', request: 'PAUSE' });
    for (const { id } of waiting) expect(await stateOf(id)).toBe('PAUSED');
    await runs.progress({ ...running, epoch: 1 }, { state: 'PAUSED', request: undefined });
    expect(await states.resume(hr)).toMatchObject({ state: 'ACTIVE', stateReason: '' });
    for (const { id } of [running, ...waiting]) expect(await stateOf(id)).toBe('WAITING');
  });

  test('is safe to repeat', async () => {
    await states.pause(hr);
    await expect(states.pause(hr)).resolves.toMatchObject({ state: 'PAUSED' });
    await states.resume(hr);
    await expect(states.resume(hr)).resolves.toMatchObject({ state: 'ACTIVE' });
  });
});

test.each([
  ['rejected credentials', 'CREDENTIALS_REJECTED', 'NEEDS_ATTENTION', 'SOURCE_CREDENTIALS_REJECTED'],
  ['an account that is gone', 'SOURCE_GONE', 'DISABLED', 'SOURCE_GONE'],
] as const)('%s stop a connection until a person resumes or updates it', async (_, event, state, reason) => {
  const [run] = await startAll();
  for (const goOn of [() => states.resume(hr), () => states.updated(hr)]) {
    await states.stand(hr, event, 'the source said so');
    expect(await states.find(hr)).toMatchObject({ state, stateReason: 'the source said so' });
    expect(await stateOf(run?.id ?? '')).toBe('PAUSED');
    await expect(states.findActive(hr)).rejects.toMatchObject({ reason });
    await goOn();
    expect(await stateOf(run?.id ?? '')).toBe('WAITING');
  }
  await states.pause(hr);
  await states.stand(hr, event, 'too late');
  await states.updated(hr);
  expect(await states.find(hr)).toMatchObject({ state: 'PAUSED', stateReason: 'paused by a person' });
});

test.each<['PAUSED' | 'DELETING', string]>([
  ['PAUSED', 'CONNECTION_PAUSED'],
  ['DELETING', 'CONNECTION_NOT_FOUND'],
])('a connection that is %s syncs nothing: %s', async (state, reason) => {
  await connections.changeState(hr, ['ACTIVE'], state, '');
  await expect(states.findActive(hr)).rejects.toMatchObject({ reason });
});

describe('actions on runs', () => {
  test('that the state does not allow are refused, and change nothing', async () => {
    const [run] = await startAll();
    const id = run?.id ?? '';
    for (const action of ['APPROVE', 'DISCARD'] as const) {
      await expect(actions.act('acme', id, action)).rejects.toMatchObject({ reason: 'RUN_STATE_CONFLICT' });
    }
    expect(await actions.find('acme', id)).toEqual(run);
  });

  test('of another tenant find nothing', async () => {
    const [run] = await startAll();
    await expect(actions.act('other', run?.id ?? '', 'CANCEL')).rejects.toMatchObject({
      reason: 'RUN_NOT_FOUND',
    });
  });

  test('get through though the run is written all the time', async () => {
    const [run] = await startAll();
    if (run === undefined) throw new Error('three were started');
    const running = await runs.start(run, 1, new Date());
    if (running === undefined) throw new Error('the connection is free');
    const writes = Promise.all(
      Array.from({ length: 20 }, (_, read) => runs.progress(running, { heldDeletes: read })),
    );
    await expect(actions.act('acme', run.id, 'CANCEL')).resolves.toMatchObject({ request: 'CANCEL' });
    await writes;
  });

  test('of a decision put a held run first', async () => {
    const [run] = await startAll();
    if (run === undefined) throw new Error('three were started');
    await db.runs.updateOne({ _id: run.id }, { $set: { state: 'HELD' satisfies SyncRunState } });
    const decided = await actions.act('acme', run.id, 'APPROVE');
    expect(decided).toMatchObject({ state: 'WAITING', decision: 'APPROVED' });
    expect(decided.priority).toBeGreaterThan(run.priority);
  });

  test('cancelled means ended', async () => {
    const [run] = await startAll();
    const cancelled = await actions.act('acme', run?.id ?? '', 'CANCEL');
    expect(cancelled.endTime).toBeInstanceOf(Date);
    await expect(actions.act('acme', cancelled.id, 'CANCEL')).resolves.toMatchObject({ state: 'CANCELLED' });
  });

  test('to resume take back a pause that the worker has not heeded yet', async () => {
    const [run] = await startAll();
    if (run === undefined) throw new Error('three were started');
    const running = await runs.start(run, 1, new Date());
    if (running === undefined) throw new Error('the connection is free');
    await states.pause(hr);
    expect((await actions.find('acme', run.id)).request).toBe('PAUSE');
    await states.resume(hr);
    expect(await actions.find('acme', run.id)).not.toHaveProperty('request');
    expect(await runs.progress(running, { state: 'PAUSED' }, 'PAUSE')).toBeUndefined();
  });
});

describe('runs that nobody works on, when the scope changes', () => {
  const scope = (...models: string[]) => ({
    revision: 2,
    models: models.map((model) => ({ model, fields: ['id'], indexFields: [] })),
  });
  const put = (id: string | undefined, state: SyncRunState) =>
    db.runs.updateOne({ _id: id ?? '' }, { $set: { state, heldDeletes: 60, failures: 2 } });
  const changed = (setup: string[], ...models: string[]) =>
    aConnection({ scope: scope(...models), setup: { backfill: [], changed: setup, since: new Date() } });

  test.each(['WAITING', 'PAUSED', 'HELD'] as const)(
    'and are %s end if their model left it',
    async (state) => {
      const [departments, employees] = await startAll();
      await put(employees?.id, state);
      await actions.followScope(changed([], 'departments', 'absences'));
      expect(await actions.find('acme', employees?.id ?? '')).toMatchObject({
        state: 'CANCELLED',
        note: 'model employees left the scope',
      });
      expect(await stateOf(departments?.id ?? '')).toBe('WAITING');
    },
  );

  test('are begun anew if they are held, or were, and their model changed', async () => {
    const [departments, employees, absences] = await startAll();
    for (const run of [departments, employees, absences]) await put(run?.id, 'HELD');
    await actions.act('acme', employees?.id ?? '', 'APPROVE');
    await actions.followScope(changed(['departments', 'employees'], ...names));
    for (const run of [departments, employees]) {
      const anew = await actions.find('acme', run?.id ?? '');
      expect(anew).toMatchObject({ state: 'WAITING', heldDeletes: 0, failures: 2 });
      expect(anew).not.toHaveProperty('decision');
    }
    expect(await actions.find('acme', absences?.id ?? '')).toMatchObject({ state: 'HELD', heldDeletes: 60 });
  });

  test('stay where they are if they only wait or are paused', async () => {
    const [departments, employees] = await startAll();
    await put(departments?.id, 'PAUSED');
    await actions.followScope(changed(names, ...names));
    expect([await stateOf(departments?.id ?? ''), await stateOf(employees?.id ?? '')]).toEqual([
      'PAUSED',
      'WAITING',
    ]);
  });
});

describe('runs paused for a connection', () => {
  test('are resumed if it was resumed before they were paused', async () => {
    const [run] = await startAll();
    if (run === undefined) throw new Error('three were started');
    await runs.change(run, { state: 'PAUSED' });
    await states.resumeIfActive(hr);
    expect(await stateOf(run.id)).toBe('WAITING');
  });

  test('stay paused while it is', async () => {
    await startAll();
    await states.pause(hr);
    await states.resumeIfActive(hr);
    expect(await runs.inStates(hr, ['PAUSED'])).toHaveLength(names.length);
  });
});
