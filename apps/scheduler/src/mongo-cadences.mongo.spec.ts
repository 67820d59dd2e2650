import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { MongoCadences } from './mongo-cadences.js';
import type { ControlDatabase } from './mongo-collections.js';
import { MongoConnections } from './mongo-connections.js';
import { aConnection } from './testing/a-connection.js';
import { aRun } from './testing/a-run.js';
import { testControlDatabase } from './testing/control-database.js';

const connection = aConnection();
const [early, late] = [new Date('2026-03-01T12:00:00Z'), new Date('2026-03-01T13:00:00Z')];
const run = aRun({ id: 'run_1', startTime: early });
const full = { model: 'employees', kind: 'FULL', failuresInARow: 0 };

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let db: ControlDatabase;
let cadences: MongoCadences;

beforeAll(async () => {
  database = await testControlDatabase();
  db = database.db;
  cadences = new MongoCadences(db);
});
afterAll(() => database.drop());
beforeEach(async () => {
  await db.cadences.deleteMany({});
  await cadences.open(connection, []);
});

describe('cadences', () => {
  test('tell what became of runs, however often and late they are told', async () => {
    const second = aRun({ id: 'run_2', startTime: late });
    await cadences.requested(connection, [second], late);
    for (let i = 0; i < 2; i++) {
      await cadences.started(second);
      await cadences.started(run);
      await cadences.failed(run, early);
      await cadences.failed(run, early);
    }
    const failed = { lastFailure: early, failuresInARow: 1 };
    const known = { ...full, lastRun: 'run_2', lastRequest: late, lastStart: late };
    expect(await cadences.find(connection)).toEqual([{ ...known, ...failed }]);
    await cadences.succeeded(second, late, true);
    await cadences.succeeded(run, early, false);
    const success = { lastSuccess: late, lastCertified: late, failuresInARow: 0 };
    expect(await cadences.find(connection)).toEqual([{ ...known, ...failed, ...success }]);
  });

  test('count failures in a row, each run once', async () => {
    const [first, second] = [aRun({ id: 'run_1' }), aRun({ id: 'run_2' })];
    const counts = [];
    for (const each of [first, first, second]) counts.push(await cadences.failed(each, early));
    await cadences.succeeded(aRun({ id: 'run_3' }), late, true);
    counts.push(await cadences.failed(aRun({ id: 'run_4' }), late));
    expect(counts).toEqual([1, 1, 2, 1]);
  });

  test('keep models and kinds apart, whatever the names', async () => {
    const names = ['a.b', 'a', '__proto__', '0'];
    const runs = names.flatMap((model) => [aRun({ model }), aRun({ model, kind: 'DELTA' })]);
    await cadences.requested(connection, runs);
    const found = await cadences.find(connection);
    const keys = (each: readonly { model: string; kind: string }[] = []) =>
      each.map(({ model, kind }) => `${kind} ${model}`).sort();
    expect(keys(found)).toEqual(keys(runs));
    await cadences.keepOnly(connection, ['a']);
    expect((await cadences.find(connection))?.map(({ model }) => model)).toEqual(['a', 'a']);
  });

  test('of connections are told by tenant', async () => {
    await cadences.open(aConnection({ id: 'crm' }), [{ model: 'm', kind: 'DELTA', failuresInARow: 2 }]);
    await cadences.open(aConnection({ tenantId: 'other' }), []);
    expect(await cadences.ofTenant('acme')).toEqual(
      new Map([
        ['hr', []],
        ['crm', [{ model: 'm', kind: 'DELTA', failuresInARow: 2 }]],
      ]),
    );
  });

  test('stay when they are opened again, and begin anew with another connection of the name', async () => {
    await cadences.started(run);
    await cadences.open(connection, []);
    expect(await cadences.find(connection)).toHaveLength(1);
    await cadences.open(aConnection({ createTime: late }), []);
    expect(await cadences.find(connection)).toEqual([]);
  });

  test('go with their connection, and do not come back with a run that ends later', async () => {
    const connections = new MongoConnections(db);
    const deleting = aConnection({ state: 'DELETING' });
    await connections.insert(deleting);
    await connections.remove(deleting);
    await cadences.started(run);
    await cadences.succeeded(run, late, true);
    await cadences.failed(run, late);
    expect(await cadences.find(connection)).toBeUndefined();
  });
});
