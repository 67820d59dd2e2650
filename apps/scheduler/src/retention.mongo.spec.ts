import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { nextDaily, TidemarkError } from '@tidemark/model';
import { createLogger } from '@tidemark/runtime';
import { connectionKey } from './connection.js';
import { MongoConnections } from './mongo-connections.js';
import { Retention } from './retention.js';
import { aConnection } from './testing/a-connection.js';
import { testControlDatabase } from './testing/control-database.js';
import { startStoreEnd } from './testing/store-server.js';

const NOW = new Date('2026-02-01T12:00:00Z');
const later = (ms: number) => new Date(NOW.getTime() + ms);

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let end: Awaited<ReturnType<typeof startStoreEnd>>;
let connections: MongoConnections;
let applied: string[];
let onApply: (connection: string) => Promise<{ done: boolean }>;

beforeAll(async () => {
  database = await testControlDatabase();
  connections = new MongoConnections(database.db);
  end = await startStoreEnd({
    applyRetention: async ({ connectionId }) => {
      applied.push(connectionId);
      return { ...(await onApply(connectionId)), removedVersions: 1n, removedTombstones: 0n };
    },
  });
});
afterAll(async () => {
  await end.stop();
  await database.drop();
});
beforeEach(async () => {
  applied = [];
  onApply = async () => ({ done: true });
  await database.db.connections.deleteMany({});
});

const retention = () =>
  new Retention(connections, end.store, createLogger({ service: 'test', level: 'error' }));
const sweep = (now: Date) => retention().sweep(() => now);
const dueTime = async (id: string) => (await connections.find({ tenantId: 'acme', id }))?.retainTime;

describe('retention', () => {
  test('is applied once a day, at a time of the connection’s own', async () => {
    await connections.insert(aConnection({ id: 'a' }));
    await connections.insert(aConnection({ id: 'b', retainTime: later(60_000) }));
    await sweep(NOW);
    expect(applied).toEqual(['a']);
    const next = nextDaily(NOW, connectionKey({ tenantId: 'acme', id: 'a' }));
    expect(await dueTime('a')).toEqual(next);
    await sweep(later(60_000));
    expect(applied).toEqual(['a', 'b']);
    await sweep(next);
    expect(applied.filter((id) => id === 'a')).toHaveLength(2);
  });

  test('goes on until nothing is left, and starts where it was left after a failure', async () => {
    await connections.insert(aConnection({ id: 'a' }));
    const steps = [
      async () => ({ done: false }),
      () => Promise.reject(new TidemarkError('DATABASE_UNAVAILABLE', 'away')),
      async () => ({ done: false }),
    ];
    onApply = async () => (await steps.shift()?.()) ?? { done: true };
    await sweep(NOW);
    expect(applied).toHaveLength(2);
    const again = await dueTime('a');
    expect(again?.getTime()).toBeGreaterThan(NOW.getTime());
    await sweep(again ?? NOW);
    expect(applied).toHaveLength(4);
  });

  test('of one connection does not keep the others from theirs, if it fails', async () => {
    for (const id of ['a', 'b', 'c']) await connections.insert(aConnection({ id }));
    onApply = (id) =>
      id === 'b'
        ? Promise.reject(new TidemarkError('KEY_UNAVAILABLE', 'no key'))
        : Promise.resolve({ done: true });
    await sweep(NOW);
    expect([...applied].sort()).toEqual(['a', 'b', 'c']);
  });

  test('is one process’s work at a time, and another’s if that one dies', async () => {
    await connections.insert(aConnection({ id: 'a' }));
    const claimed = await connections.claimRetention(NOW, later(1_000));
    expect(claimed?.id).toBe('a');
    await sweep(NOW);
    expect(applied).toEqual([]);
    await sweep(later(1_000));
    expect(applied).toEqual(['a']);
  });

  test('leaves a connection that is being deleted alone', async () => {
    await connections.insert(aConnection({ id: 'a', state: 'DELETING' }));
    await sweep(NOW);
    expect(applied).toEqual([]);
  });

  test('goes first for those that have waited longest', async () => {
    await connections.insert(aConnection({ id: 'a', retainTime: later(-1_000) }));
    await connections.insert(aConnection({ id: 'b', retainTime: later(-2_000) }));
    await connections.insert(aConnection({ id: 'c' }));
    await sweep(NOW);
    expect(applied).toEqual(['c', 'b', 'a']);
  });
});
