import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { runId } from '@tidemark/model';
import type { ControlDatabase } from './mongo-collections.js';
import { MongoRuns } from './mongo-runs.js';
import type { NewRun, Run } from './run.js';
import { settlement } from './run-outcome.js';
import { examined } from './testing/examined.js';
import { testControlDatabase } from './testing/control-database.js';

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let db: ControlDatabase;
let runs: MongoRuns;
const hr = { tenantId: 'acme', id: 'hr' };

beforeAll(async () => {
  database = await testControlDatabase();
  db = database.db;
  runs = new MongoRuns(db);
});
afterAll(() => database.drop());
beforeEach(async () => {
  await db.runs.deleteMany({});
});

let time = Date.now();
function newRun(changes: Partial<NewRun> = {}): NewRun {
  return {
    id: runId(new Date(time++), randomBytes(10)),
    tenantId: 'acme',
    connectionId: 'hr',
    connector: 'file',
    model: 'employees',
    kind: 'FULL',
    trigger: 'MANUAL',
    after: [],
    startedOver: false,
    ...changes,
  };
}

async function started(changes: Partial<NewRun> = {}, epoch = 1): Promise<Run> {
  const run = await runs.start(await runs.request(newRun(changes)), epoch, new Date());
  if (run === undefined) throw new Error('the connection is free');
  return run;
}
const soon = () => new Date(Date.now() + 1_000);
const dueIds = async () => (await runs.due(soon())).map(({ id }) => id);

describe('requests', () => {
  test('that are equal meet in one run that waits', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, async () => (await runs.request(newRun())).id));
    expect(new Set(ids).size).toBe(1);
    expect(await db.runs.countDocuments()).toBe(1);
  });

  test('that are equal are found among any number of other runs', async () => {
    const others = 100;
    for (let i = 0; i < others; i++) await runs.request(newRun({ connectionId: `other-${i}` }));
    await runs.request(newRun());
    const seen = await examined(db, 'runs', () => runs.request(newRun()));
    expect(seen).toBeLessThan(others / 10);
  });

  test('that differ in tenant, connection, model or kind do not meet', async () => {
    const changes = [
      {},
      { tenantId: 'other' },
      { connectionId: 'crm' },
      { model: 'jobs' },
      { kind: 'DELTA' as const },
    ];
    const ids = await Promise.all(changes.map(async (change) => (await runs.request(newRun(change))).id));
    expect(new Set(ids).size).toBe(changes.length);
  });

  test('do not meet a run that has started: what it read may be older than the request', async () => {
    const running = await started();
    const waiting = await runs.request(newRun());
    expect(waiting.id).not.toBe(running.id);
    await runs.progress(running, { state: 'WAITING' });
    expect((await runs.request(newRun())).id).toBe(waiting.id);
  });

  test('lift the run that they meet to their priority', async () => {
    const scheduled = await runs.request(newRun({ trigger: 'SCHEDULE' }));
    const manual = await runs.request(newRun({ trigger: 'MANUAL' }));
    expect(manual.id).toBe(scheduled.id);
    expect(manual.priority).toBeGreaterThan(scheduled.priority);
    expect((await runs.request(newRun({ trigger: 'SCHEDULE' }))).priority).toBe(manual.priority);
  });
});

describe('starting', () => {
  test('one run of a connection runs at a time', async () => {
    const running = await started();
    const next = await runs.request(newRun({ model: 'jobs' }));
    expect(await runs.start(next, 1, new Date())).toBeUndefined();
    expect(await dueIds()).toEqual([]);
    await runs.progress(running, { state: 'SUCCEEDED' });
    expect(await dueIds()).toEqual([next.id]);
    expect(await runs.start(next, 1, new Date())).toMatchObject({ state: 'RUNNING', attempts: 1 });
  });

  test('a run that was changed since it was read does not start', async () => {
    const run = await runs.request(newRun());
    await runs.change(run, { state: 'PAUSED' });
    expect(await runs.start(run, 1, new Date())).toBeUndefined();
  });

  test('a run whose worker died is taken over, and its old worker writes nothing any more', async () => {
    const old = await started({}, 1);
    const current = await runs.find('acme', old.id);
    const taken = await runs.start(current ?? old, 2, new Date());
    expect(taken).toMatchObject({ state: 'RUNNING', attempts: 2, epoch: 2, startTime: old.startTime });
    expect(await runs.progress(old, { state: 'FAILED' })).toBeUndefined();
    expect(await runs.find('acme', old.id)).toMatchObject({ state: 'RUNNING', epoch: 2 });
  });

  test('what is due comes in order of priority and age, not before its time', async () => {
    const scheduled = await runs.request(newRun({ connectionId: 'a', trigger: 'SCHEDULE' }));
    const manual = await runs.request(newRun({ connectionId: 'b' }));
    const manualToo = await runs.request(newRun({ connectionId: 'b', model: 'jobs' }));
    const later = await runs.request(newRun({ connectionId: 'c' }));
    await runs.change(later, { notBefore: new Date(Date.now() + 60_000) });
    expect(await dueIds()).toEqual([manual.id, manualToo.id, scheduled.id]);
  });

  test('a run lets those it comes after go first, and an older one of its key', async () => {
    const departments = await runs.request(newRun({ model: 'departments' }));
    const employees = await runs.request(newRun({ after: [departments.id] }));
    expect(await runs.isBlocked(departments, soon())).toBe(false);
    expect(await runs.isBlocked(employees, soon())).toBe(true);
    const running = await runs.start(departments, 1, new Date());
    expect(await runs.isBlocked(employees, soon())).toBe(true);
    await runs.progress(running ?? departments, {
      state: 'WAITING',
      notBefore: new Date(Date.now() + 60_000),
    });
    expect(await runs.isBlocked(await runs.request(newRun({ model: 'departments' })), soon())).toBe(true);
    expect(await runs.isBlocked(employees, soon())).toBe(true);
    await db.runs.updateOne({ _id: departments.id }, { $set: { state: 'FAILED' } });
    expect(await runs.isBlocked(employees, soon())).toBe(false);
  });
});

describe('yielding', () => {
  test('a full sync has a contender in a delta that is due, unless that comes after it', async () => {
    const full = await started();
    expect(await runs.contender(full, soon())).toBeUndefined();
    const departments = await runs.request(newRun({ model: 'departments', kind: 'DELTA', after: [full.id] }));
    const employees = await runs.request(newRun({ kind: 'DELTA', after: [departments.id] }));
    await runs.request(newRun({ model: 'jobs' }));
    await runs.request(newRun({ connectionId: 'crm', kind: 'DELTA' }));
    expect(await runs.contender(full, soon())).toBeUndefined();
    const jobs = await runs.request(newRun({ model: 'jobs', kind: 'DELTA' }));
    expect((await runs.contender(full, soon()))?.id).toBe(jobs.id);
    await runs.change(jobs, { notBefore: new Date(Date.now() + 60_000) });
    expect(await runs.contender(full, soon())).toBeUndefined();
    expect(employees.after).toEqual([departments.id]);
  });

  test('it comes after the one that it lets go first, and before all others', async () => {
    const full = await started();
    const first = await runs.request(newRun({ model: 'jobs', kind: 'DELTA' }));
    const second = await runs.request(newRun({ kind: 'DELTA' }));
    const left = settlement(full, { kind: 'STOPPED', reason: 'YIELD', contender: first }, new Date());
    const yielded = await runs.progress(full, left ?? {});
    if (yielded === undefined) throw new Error('it was running');
    expect(await dueIds()).toEqual([full.id, first.id, second.id]);
    expect(await runs.isBlocked(yielded, soon())).toBe(true);
    const running = await runs.start(first, 1, new Date());
    expect(await runs.isBlocked(yielded, soon())).toBe(true);
    if (running === undefined) throw new Error('nothing runs');
    // While it backs off, nobody waits for it.
    const failed = await runs.progress(running, {
      state: 'WAITING',
      notBefore: new Date(Date.now() + 60_000),
    });
    expect(await runs.isBlocked(yielded, soon())).toBe(false);
    await runs.change(failed ?? first, { notBefore: new Date() });
    expect(await runs.isBlocked(yielded, soon())).toBe(true);
    await db.runs.updateOne({ _id: first.id }, { $set: { state: 'SUCCEEDED' } });
    const again = await runs.start(yielded, 2, new Date((yielded.yieldTime?.getTime() ?? 0) + 700));
    expect(again).toMatchObject({ interruptionMs: 700, effort: { yields: 1, takeovers: 0 } });
    expect(again?.yieldedTo).toBeUndefined();
  });
});

test('a run that has waited long is among those that are due, however many more urgent ones its tenant has', async () => {
  const full = await runs.request(newRun({ connectionId: 'patient', trigger: 'SCHEDULE' }));
  await db.runs.updateOne({ _id: full.id }, { $set: { createTime: new Date(Date.now() - 600_000) } });
  for (let i = 0; i < 60; i++) await runs.request(newRun({ connectionId: `c${i}`, kind: 'DELTA' }));
  expect((await dueIds())[0]).toBe(full.id);
});

test('runs of every tenant are among those that are due, however many another one has', async () => {
  for (let i = 0; i < 60; i++) await runs.request(newRun({ connectionId: `c${i}`, kind: 'DELTA' }));
  const small = await runs.request(newRun({ tenantId: 'small' }));
  const ids = await dueIds();
  expect(ids).toContain(small.id);
  expect(ids).toHaveLength(41);
});

test('attempts that were cut off are counted while the run gets no further', async () => {
  let run = await started();
  for (let epoch = 2; epoch < 5; epoch++) run = (await runs.start(run, epoch, new Date())) ?? run;
  expect(run).toMatchObject({ barren: { attempts: 3, pages: 0 }, effort: { takeovers: 3 } });
  run = (await runs.progress(run, { counters: { ...run.counters, pages: 2 } })) ?? run;
  run = (await runs.start(run, 6, new Date())) ?? run;
  expect(run.barren).toEqual({ attempts: 1, pages: 2 });
  const waiting = (await runs.progress(run, { state: 'WAITING' })) ?? run;
  expect((await runs.start(waiting, 7, new Date()))?.barren.attempts).toBe(0);
});

describe('a run', () => {
  test('keeps what a patch leaves out, and loses what it says to be undefined', async () => {
    const run = await started();
    const end = { endEvidence: 'end', failures: ['cut'], deltaCheckpoint: Buffer.from('next') };
    await runs.progress(run, { note: 'waits', end, expectedRecords: 5, request: 'PAUSE' });
    const after = await runs.progress(run, { note: undefined, request: undefined });
    expect(after).toMatchObject({ end, expectedRecords: 5 });
    expect(after).not.toHaveProperty('note');
    expect(after).not.toHaveProperty('request');
  });

  test('of another tenant is not there', async () => {
    const run = await runs.request(newRun());
    expect(await runs.find('other', run.id)).toBeUndefined();
    expect(await runs.list({ tenantId: 'other', limit: 10 })).toEqual([]);
    expect(await runs.change({ ...run, tenantId: 'other' }, { state: 'CANCELLED' })).toBeUndefined();
  });

  test('supersedes the older ones of its key that are paused or held, and no others', async () => {
    const leave = async (run: Run, state: 'HELD' | 'PAUSED' | 'FAILED') => {
      await runs.progress(run, { state });
      return run.id;
    };
    const held = await leave(await started(), 'HELD');
    const paused = await leave(await started(), 'PAUSED');
    const failed = await leave(await started(), 'FAILED');
    const other = await leave(await started({ model: 'jobs' }), 'HELD');
    const newer = await started();
    await runs.supersede(newer, new Date());
    const states = new Map(
      (await runs.list({ tenantId: 'acme', limit: 10 })).map(({ id, state }) => [id, state]),
    );
    expect([held, paused, failed, other, newer.id].map((id) => states.get(id))).toEqual([
      'CANCELLED',
      'CANCELLED',
      'FAILED',
      'HELD',
      'RUNNING',
    ]);
    expect(await runs.find('acme', held)).toMatchObject({ note: `superseded by ${newer.id}` });
  });

  test('is listed newest first, page by page', async () => {
    for (const model of ['a', 'b', 'c']) await runs.request(newRun({ model }));
    await runs.request(newRun({ connectionId: 'crm' }));
    const [newest, ...rest] = await runs.list({ tenantId: 'acme', connectionId: 'hr', limit: 2 });
    expect([newest, ...rest].map((run) => run?.model)).toEqual(['c', 'b']);
    const before = rest.at(-1)?.id ?? '';
    expect(
      (await runs.list({ tenantId: 'acme', connectionId: 'hr', before, limit: 2 })).map(({ model }) => model),
    ).toEqual(['a']);
  });

  test('is forgotten when many newer ones of its key have ended, but not while it goes on', async () => {
    const kept: string[] = [];
    const held = await started();
    await runs.progress(held, { state: 'HELD' });
    for (let index = 0; index < 6; index++) {
      const run = await started();
      await runs.progress(run, { state: 'SUCCEEDED', endTime: new Date() });
      if (index >= 3) kept.push(run.id);
    }
    const other = await runs.request(newRun({ kind: 'DELTA' }));
    await runs.prune(held, 3);
    const left = (await db.runs.find().toArray()).map(({ _id }) => _id);
    expect(left.sort()).toEqual([held.id, ...kept, other.id].sort());
  });

  test('tells what a status shows: the newest of each model, and when each was last certified', async () => {
    const certificate = {
      certified: true,
      failures: [],
      endEvidence: 'end',
      observedCount: 1,
      uniqueIds: true,
    };
    const [first, second] = [new Date(1_000), new Date(2_000)];
    for (const endTime of [first, second])
      await runs.progress(await started(), { state: 'SUCCEEDED', endTime, certificate });
    const newest = await started();
    await runs.progress(newest, {
      state: 'SUCCEEDED',
      endTime: new Date(3_000),
      certificate: { ...certificate, certified: false },
    });
    expect((await runs.newest(hr, ['employees', 'jobs'])).map(({ id }) => id)).toEqual([newest.id]);
    expect(await runs.certifiedTimes(hr, ['employees', 'jobs'])).toEqual(new Map([['employees', second]]));
  });
});
