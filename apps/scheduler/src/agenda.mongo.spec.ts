import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createLogger } from '@tidemark/runtime';
import { AgendaSchedules } from './agenda.js';
import type { ConnectionKey } from './connection.js';
import { JOBS_COLLECTION, type ControlDatabase } from './mongo-collections.js';
import { examined } from './testing/examined.js';
import { testControlDatabase } from './testing/control-database.js';

const logger = createLogger({ service: 'test', level: 'error' });
const hr = { tenantId: 'acme', id: 'hr' };
const HOUR = 3_600_000;
const MANY = 200;
const inHours = (hours: number) => new Date(Date.now() + hours * HOUR);

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

const jobs = () => db.db.collection(JOBS_COLLECTION).countDocuments({});
const untilNoJobs = async () => {
  while ((await jobs()) > 0) await new Promise((resolve) => setTimeout(resolve, 20));
};

/** A process of schedulers, which collects what comes. */
async function start(): Promise<{
  schedules: AgendaSchedules;
  woken: ConnectionKey[];
  next: () => Promise<void>;
}> {
  const schedules = new AgendaSchedules(db.db, logger);
  const woken: ConnectionKey[] = [];
  let told = (): void => undefined;
  const next = () => new Promise<void>((resolve) => (told = resolve));
  running.push(schedules);
  await schedules.start({
    onConnection: async (connection) => {
      woken.push(connection);
      told();
    },
  });
  return { schedules, woken, next };
}

describe('the wake-up of a connection', () => {
  test('is made once, though many processes make it at the same time', async () => {
    const processes = await Promise.all([start(), start(), start()]);
    const time = inHours(1);
    await Promise.all(processes.map(({ schedules }) => schedules.wakeAt(hr, time)));
    expect(await jobs()).toBe(1);
    expect(await processes[0]?.schedules.next(hr)).toEqual(time);
  });

  test('costs the same however many connections there are', async () => {
    const { schedules, next } = await start();
    for (let other = 0; other < MANY; other++)
      await schedules.wakeAt({ tenantId: 'acme', id: `other-${other}` }, inHours(1));
    const woken = next();
    const seen = await examined(db, JOBS_COLLECTION, async () => {
      await schedules.wakeAt(hr, inHours(1));
      await schedules.wakeAt(hr, new Date());
      await woken;
    });
    expect(seen).toBeLessThan(MANY);
  });

  test('moves to an earlier time, and not to a later one: whoever asked for the earlier may know more', async () => {
    const { schedules } = await start();
    const [sooner, later] = [inHours(1), inHours(2)];
    await schedules.wakeAt(hr, later);
    await schedules.wakeAt(hr, sooner);
    expect([await schedules.next(hr), await jobs()]).toEqual([sooner, 1]);
    await schedules.wakeAt(hr, later);
    expect([await schedules.next(hr), await jobs()]).toEqual([sooner, 1]);
  });

  test('is removed, and those of other connections stay', async () => {
    const { schedules } = await start();
    const crm = { tenantId: 'acme', id: 'crm' };
    const foreign = { tenantId: 'other', id: 'hr' };
    for (const connection of [hr, crm, foreign]) await schedules.wakeAt(connection, inHours(1));
    await schedules.remove(hr);
    expect(await schedules.next(hr)).toBeUndefined();
    expect(await schedules.next(crm)).toBeDefined();
    expect(await schedules.next(foreign)).toBeDefined();
  });

  test('comes, at once where its time is over, and leaves nothing behind', async () => {
    const { schedules, woken, next } = await start();
    for (const wait of [-1_000, 300]) {
      const told = next();
      await schedules.wakeAt(hr, new Date(Date.now() + wait));
      await told;
    }
    expect(woken).toEqual([hr, hr]);
    await untilNoJobs();
  });

  test('comes in time among many that come later', async () => {
    const { schedules, woken, next } = await start();
    const told = next();
    await Promise.all([
      schedules.wakeAt(hr, new Date(Date.now() + 500)),
      ...Array.from({ length: 20 }, (_, i) => schedules.wakeAt({ ...hr, id: `later-${i}` }, inHours(1))),
    ]);
    await told;
    expect(woken).toEqual([hr]);
  });

  test('replaces the repeating ones of earlier versions, whose wake-ups of workers are removed', async () => {
    const former = { connection: 'acme/hr', tenant: 'acme', id: 'hr' };
    const models = ['employees', 'jobs'].map((model) => ({
      name: 'sync.due',
      data: { ...former, key: `acme/hr/${model}/FULL`, model, kind: 'FULL' },
      nextRunAt: inHours(1),
      repeatInterval: HOUR,
      lockedAt: null,
    }));
    const wake = { name: 'workers.wake', data: {}, nextRunAt: inHours(0), lockedAt: null };
    await db.db.collection<object>(JOBS_COLLECTION).insertMany([...models, wake]);
    const { woken, next } = await start();
    if (woken.length === 0) await next();
    expect(woken).toEqual([hr]);
    await untilNoJobs();
  });
});
