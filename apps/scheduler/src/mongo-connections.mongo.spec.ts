import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { connectionKey } from './connection.js';
import type { ControlDatabase } from './mongo-collections.js';
import { MongoConnections } from './mongo-connections.js';
import { aConnection, aModel } from './testing/a-connection.js';
import { testControlDatabase } from './testing/control-database.js';

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let db: ControlDatabase;
let connections: MongoConnections;
const hr = { tenantId: 'acme', id: 'hr' };

beforeAll(async () => {
  database = await testControlDatabase();
  db = database.db;
  connections = new MongoConnections(db);
});
afterAll(() => database.drop());
beforeEach(async () => {
  await db.connections.deleteMany({});
});

describe('connections', () => {
  test('come back as they were stored', async () => {
    const connection = aConnection({
      sealedCredentials: Buffer.from('sealed'),
      schedule: { fullMs: 1_000, models: { 'dotted.name': { deltaMs: 0 }, $dollar: {} } },
      guard: { maxDeletedShare: 0.5 },
      catalogue: [aModel('employees', { dependsOn: ['departments'] }), aModel('departments')],
      scope: { revision: 2, models: [{ model: 'employees', fields: ['id'], indexFields: ['id'] }] },
      setup: { backfill: ['employees'], changed: ['employees'], since: new Date() },
      purge: { revision: 2, since: new Date() },
      retainTime: new Date(),
    });
    await connections.insert(connection);
    const found = await connections.find(hr);
    expect(found).toEqual(connection);
  });

  test('have a name once in a tenant', async () => {
    await connections.insert(aConnection());
    await connections.insert(aConnection({ tenantId: 'other' }));
    await expect(connections.insert(aConnection())).rejects.toMatchObject({ reason: 'CONNECTION_EXISTS' });
  });

  test('of other tenants are not there', async () => {
    await connections.insert(aConnection());
    const foreign = { tenantId: 'other', id: 'hr' };
    expect(await connections.find(foreign)).toBeUndefined();
    expect(await connections.stateOf(foreign)).toBeUndefined();
    expect(await connections.list('other', 10)).toEqual([]);
    expect(await connections.changeState(foreign, ['ACTIVE'], 'PAUSED', '')).toBeUndefined();
    expect(await connections.replace(aConnection({ tenantId: 'other' }))).toBeUndefined();
    expect(await connections.stateOf(hr)).toBe('ACTIVE');
  });

  test('are listed in order, page by page', async () => {
    for (const id of ['c', 'a', 'd', 'b']) await connections.insert(aConnection({ id }));
    const first = await connections.list('acme', 3);
    expect(first.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    expect((await connections.list('acme', 3, 'c')).map(({ id }) => id)).toEqual(['d']);
  });

  test('are not replaced over a change that came between', async () => {
    await connections.insert(aConnection());
    const read = await connections.find(hr);
    if (read === undefined) throw new Error('just inserted');
    await connections.changeState(hr, ['ACTIVE'], 'PAUSED', 'by a person');
    expect(await connections.replace({ ...read, state: 'ACTIVE' })).toBeUndefined();
    expect(await connections.stateOf(hr)).toBe('PAUSED');
  });

  test('change their state from the states allowed alone', async () => {
    await connections.insert(aConnection({ state: 'DELETING' }));
    expect(await connections.changeState(hr, ['ACTIVE', 'PAUSED'], 'ACTIVE', '')).toBeUndefined();
  });

  test('end the setup that was done, not one that a later change asks for', async () => {
    const first = new Date(1_000);
    await connections.insert(aConnection({ setup: { backfill: [], since: new Date(2_000) } }));
    await connections.endSetup(hr, first);
    expect((await connections.find(hr))?.setup).toBeDefined();
    await connections.endSetup(hr, new Date(2_000));
    expect((await connections.find(hr))?.setup).toBeUndefined();
  });

  test('of before there were index fields have none', async () => {
    await connections.insert(aConnection());
    const scope = { revision: 1, models: [{ model: 'employees', fields: ['id'] }] };
    await db.connections.updateOne({}, { $set: { scope } as object });
    expect((await connections.find(hr))?.scope.models).toEqual([{ ...scope.models[0], indexFields: [] }]);
  });

  test('end the purge of the scope that was applied, not of a later one, nor of a connection made since', async () => {
    const purged = aConnection({
      scope: { ...aConnection().scope, revision: 2 },
      purge: { revision: 2, since: new Date(1_000) },
    });
    await connections.insert(purged);
    await connections.endPurge({ ...purged, scope: { ...purged.scope, revision: 1 } });
    await connections.endPurge({ ...purged, createTime: new Date(5) });
    expect((await connections.find(hr))?.purge).toBeDefined();
    await connections.touchPurge(purged, new Date(9_000));
    expect((await connections.find(hr))?.purge?.since).toEqual(new Date(9_000));
    await connections.endPurge(purged);
    expect((await connections.find(hr))?.purge).toBeUndefined();
  });

  test('left half-done are found: those being deleted, and old setups and purges', async () => {
    await connections.insert(aConnection({ id: 'fine' }));
    await connections.insert(aConnection({ id: 'deleting', state: 'DELETING' }));
    await connections.insert(aConnection({ id: 'stuck', setup: { backfill: [], since: new Date(1_000) } }));
    await connections.insert(
      aConnection({ id: 'under-way', setup: { backfill: [], since: new Date(9_000) } }),
    );
    const purge = (time: number) => ({ purge: { revision: 1, since: new Date(time) } });
    await connections.insert(aConnection({ id: 'left-purging', ...purge(6_000) }));
    await connections.insert(aConnection({ id: 'purging', ...purge(8_000) }));
    const found = await connections.unfinished({ setup: new Date(5_000), purge: new Date(7_000) }, 10);
    expect(found.map(({ id }) => id).sort()).toEqual(['deleting', 'left-purging', 'stuck']);
  });

  test('are removed only while they are being deleted, and only their own', async () => {
    await connections.insert(aConnection());
    await connections.insert(aConnection({ tenantId: 'other', state: 'DELETING' }));
    await connections.remove(aConnection());
    expect(await connections.stateOf(hr)).toBe('ACTIVE');
    await connections.changeState(hr, ['ACTIVE'], 'DELETING', '');
    await connections.remove(aConnection({ createTime: new Date(1) }));
    expect(await connections.stateOf(hr)).toBe('DELETING');
    await connections.remove(aConnection());
    expect((await db.connections.find().toArray()).map(({ _id }) => _id)).toEqual([
      connectionKey({ tenantId: 'other', id: 'hr' }),
    ]);
  });
});
