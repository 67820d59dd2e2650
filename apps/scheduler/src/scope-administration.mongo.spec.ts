import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ScopeReceipt } from '@tidemark/contracts';
import { TidemarkError } from '@tidemark/model';
import { createLogger } from '@tidemark/runtime';
import { ConnectionSetup } from './connection-setup.js';
import { ConnectionStates } from './connection-states.js';
import { MongoCadences } from './mongo-cadences.js';
import { MongoConnections } from './mongo-connections.js';
import { MongoRuns } from './mongo-runs.js';
import { RunActions } from './run-actions.js';
import { RunRequests } from './run-requests.js';
import { ScopeAdministration } from './scope-administration.js';
import { ScopePurges } from './scope-purge.js';
import { aConnection, aModel } from './testing/a-connection.js';
import { testControlDatabase } from './testing/control-database.js';
import { startStoreEnd } from './testing/store-server.js';

const hr = { tenantId: 'acme', id: 'hr' };
const scopeOf = (models: Record<string, string[]>) =>
  Object.entries(models).map(([model, fields]) => ({ model, fields, indexFields: [] }));
const connection = aConnection({
  scope: { revision: 1, models: scopeOf({ employees: ['id', 'name'], jobs: ['id'] }) },
  schedule: { fullMs: 60_000, models: { jobs: { fullMs: 5_000 } } },
  catalogue: [
    aModel('employees', {
      jsonSchema: Buffer.from('{"type":"object","properties":{"id":{},"name":{},"city":{}}}'),
    }),
    aModel('jobs'),
  ],
});

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let end: Awaited<ReturnType<typeof startStoreEnd>>;
let connections: MongoConnections;
let runs: MongoRuns;
let purges: ScopePurges;
let scopes: ScopeAdministration;
let opened: bigint[];
let planned: number;
let isPending: boolean;
let applyScope: () => Promise<{ done: boolean }>;
let onOpen: () => Promise<void>;

beforeAll(async () => {
  database = await testControlDatabase();
  connections = new MongoConnections(database.db);
  runs = new MongoRuns(database.db);
  end = await startStoreEnd({
    openConnection: async ({ scope }) => {
      await onOpen();
      opened.push(scope?.revision ?? 0n);
      return { generation: 'g', scopePending: isPending };
    },
    applyScope: () => applyScope(),
    listScopeReceipts: async () => ({ receipts: [ScopeReceipt.create({ revision: 1n })] }),
  });
  const actions = new RunActions(runs, () => undefined);
  purges = new ScopePurges(connections, end.store, createLogger({ service: 'test', level: 'error' }));
  const cadences = new MongoCadences(database.db);
  const requests = new RunRequests(runs, cadences, () => undefined);
  const setup = new ConnectionSetup(
    connections,
    end.store,
    { remove: async () => undefined },
    cadences,
    { plan: async () => void planned++ },
    requests,
    actions,
    purges,
  );
  scopes = new ScopeAdministration(connections, new ConnectionStates(connections, actions), setup, end.store);
});
afterAll(async () => {
  await purges.stop();
  await end.stop();
  await database.drop();
});
beforeEach(async () => {
  [opened, planned, isPending] = [[], 0, false];
  onOpen = async () => undefined;
  applyScope = async () => ({ done: true });
  await database.db.connections.deleteMany({});
  await database.db.runs.deleteMany({});
  await connections.insert(connection);
});

const set = (models: Record<string, string[]>, revision = 0) => scopes.set(hr, scopeOf(models), revision);

describe('setting a scope', () => {
  test('enforces it, backfills what it adds, and plans anew', async () => {
    const result = await set({ employees: ['id', 'name', 'city'] });
    expect(result).toMatchObject({ scope: { revision: 2 }, purging: false });
    expect(result.runs).toMatchObject([{ model: 'employees', kind: 'FULL', trigger: 'BACKFILL' }]);
    expect([opened, planned]).toEqual([[2n], 1]);
    const stored = await connections.find(hr);
    expect(stored?.schedule).toEqual({ fullMs: 60_000, models: {} });
    expect(stored).not.toHaveProperty('purge');
    expect(stored).not.toHaveProperty('setup');
  });

  test('purges what it no longer allows in the background, and tells how that stands', async () => {
    isPending = true;
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    applyScope = async () => {
      await released;
      return { done: true };
    };
    expect(await set({ employees: ['id'], jobs: ['id'] })).toMatchObject({ purging: true, runs: [] });
    expect(await scopes.get(hr)).toMatchObject({ scope: { revision: 2 }, purging: true });
    release();
    await purges.idle(connection);
    expect(await scopes.get(hr)).toMatchObject({ purging: false, receipts: [{ revision: 1n }] });
  });

  test('that is the same already starts nothing', async () => {
    expect(await set({ jobs: ['id'], employees: ['name', 'id'] })).toMatchObject({
      scope: { revision: 1 },
      runs: [],
    });
  });

  test('is refused over a change that the caller has not seen', async () => {
    await set({ employees: ['id'], jobs: ['id'] }, 1);
    await expect(set({ employees: ['id', 'name'] }, 1)).rejects.toMatchObject({
      reason: 'SCOPE_CONFLICT',
      metadata: { revision: '2' },
    });
    expect(opened).toEqual([2n]);
  });

  test('at once by two leaves one of them, and tells the other', async () => {
    const results = await Promise.allSettled([
      set({ employees: ['id'], jobs: ['id'] }, 1),
      set({ employees: ['id', 'name'] }, 1),
    ]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect((await connections.find(hr))?.scope.revision).toBe(2);
  });

  test('is refused with a field that is not there, and changes nothing', async () => {
    await expect(set({ employees: ['id', 'ctiy'] })).rejects.toMatchObject({
      reason: 'FIELD_UNKNOWN',
      violations: [{ field: 'scope.models.employees.ctiy' }],
    });
    await expect(set({})).rejects.toMatchObject({ reason: 'REQUEST_INVALID' });
    expect((await connections.find(hr))?.scope).toEqual(connection.scope);
  });

  test('stands though the store is away, so that it is brought to effect later', async () => {
    onOpen = () => Promise.reject(new TidemarkError('DATABASE_UNAVAILABLE', 'away'));
    await expect(set({ employees: ['id'] })).rejects.toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
    expect(await connections.find(hr)).toMatchObject({
      scope: { revision: 2 },
      setup: { changed: ['employees'] },
      purge: { revision: 2 },
    });
    expect(await scopes.get(hr)).toMatchObject({ purging: true });
  });

  test('of another tenant finds nothing', async () => {
    const foreign = { tenantId: 'other', id: 'hr' };
    await expect(scopes.get(foreign)).rejects.toMatchObject({ reason: 'CONNECTION_NOT_FOUND' });
    await expect(scopes.set(foreign, scopeOf({ jobs: ['id'] }), 0)).rejects.toMatchObject({
      reason: 'CONNECTION_NOT_FOUND',
    });
  });
});
