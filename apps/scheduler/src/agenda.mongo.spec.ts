import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { DueEntry } from '@tidemark/model';
import { createLogger } from '@tidemark/runtime';
import { AgendaSchedules } from './agenda.js';
import { JOBS_COLLECTION, type ControlDatabase } from './mongo-collections.js';
import type { Due } from './schedules.js';
import { testControlDatabase } from './testing/control-database.js';

const logger = createLogger({ service: 'test', level: 'error' });
const hr = { tenantId: 'acme', id: 'hr' };
const HOUR = 3_600_000;
const full = (model: string, intervalMs = HOUR): DueEntry => ({ model, kind: 'FULL', intervalMs });

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let db: ControlDatabase;
const running: AgendaSchedules[] = [];

beforeAll(async () => {
  database = await testControlDatabase();
  db = database.db;
});
afterAll(() => database.drop());
beforeEach(async () => {
  await db.db.collection(JOBS_COLLECTION).deleteMany({});
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((schedules) => schedules.stop()));
});

/** A process of schedulers, which collects what comes. */
async function start(): Promise<{
  schedules: AgendaSchedules;
  dues: Due[];
  wakes: () => number;
  next: () => Promise<void>;
}> {
  const schedules = new AgendaSchedules(db.db, logger);
  const dues: Due[] = [];
  let wakes = 0;
  let told = (): void => undefined;
  await schedules.start({
    onDue: async (due) => {
      dues.push(due);
      told();
    },
    onWake: () => {
      wakes++;
      told();
    },
  });
  running.push(schedules);
  const next = () => new Promise<void>((resolve) => (told = resolve));
  return { schedules, dues, wakes: () => wakes, next };
}

describe('schedules', () => {
  test('are made once, though many processes make them at the same time', async () => {
    const processes = await Promise.all([start(), start(), start()]);
    await Promise.all(processes.map(({ schedules }) => schedules.set(hr, [full('employees'), full('jobs')])));
    expect(await db.db.collection(JOBS_COLLECTION).countDocuments({ name: 'sync.due' })).toBe(2);
  });

  test('keep their times when they are set again, and change with their interval', async () => {
    const { schedules } = await start();
    await schedules.set(hr, [full('employees'), full('jobs')]);
    const timeOf = async (model: string) =>
      (await schedules.next(hr)).find((due) => due.model === model)?.time;
    const [employees, jobs] = [await timeOf('employees'), await timeOf('jobs')];
    await schedules.set(hr, [full('employees'), full('jobs', 10 * HOUR)]);
    expect(await timeOf('employees')).toEqual(employees);
    expect((await timeOf('jobs'))?.getTime()).toBeGreaterThan(jobs?.getTime() ?? Infinity);
  });

  test('are removed with what they are no longer for, and leave other connections alone', async () => {
    const { schedules } = await start();
    const crm = { tenantId: 'acme', id: 'crm' };
    const foreign = { tenantId: 'other', id: 'hr' };
    for (const connection of [hr, crm, foreign]) await schedules.set(connection, [full('employees')]);
    await schedules.set(hr, []);
    expect(await schedules.next(hr)).toEqual([]);
    expect(await schedules.next(crm)).toHaveLength(1);
    expect(await schedules.next(foreign)).toHaveLength(1);
  });

  test('first come after half an interval at the earliest', async () => {
    const { schedules } = await start();
    const before = Date.now();
    await schedules.set(hr, [full('employees')]);
    const [due] = await schedules.next(hr);
    expect(due?.time.getTime()).toBeGreaterThanOrEqual(before + HOUR / 2);
    expect(due?.time.getTime()).toBeLessThanOrEqual(Date.now() + HOUR);
  });

  test('ask for their run when they are due, again and again', async () => {
    const { schedules, dues, next } = await start();
    await schedules.set(hr, [full('employees', 1_000)]);
    while (dues.length < 2) await next();
    expect(dues[1]).toEqual({ connection: hr, model: 'employees', kind: 'FULL' });
  });
});

test('a wake-up reaches a worker and leaves no job behind', async () => {
  const { schedules, wakes, next } = await start();
  const woken = next();
  await schedules.wake();
  await woken;
  expect(wakes()).toBe(1);
  while ((await db.db.collection(JOBS_COLLECTION).countDocuments({})) > 0) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});
