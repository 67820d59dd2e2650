import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { TidemarkError } from '@tidemark/model';
import { createLogger } from '@tidemark/runtime';
import { MongoConnections } from './mongo-connections.js';
import { ScopePurges } from './scope-purge.js';
import { aConnection } from './testing/a-connection.js';
import { testControlDatabase } from './testing/control-database.js';
import { startStoreEnd } from './testing/store-server.js';

const logger = createLogger({ service: 'test', level: 'error' });
const narrowed = aConnection({
  scope: { revision: 2, models: [{ model: 'employees', fields: ['id'], indexFields: [] }] },
  purge: { revision: 2, since: new Date(1_000) },
});

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let end: Awaited<ReturnType<typeof startStoreEnd>>;
let connections: MongoConnections;
let purges: ScopePurges;
let opened: number[];
let applied: number;
let removals: number;
/** What the store answers each call of a purge with, in order; done after that. */
let steps: (() => Promise<{ done: boolean }>)[];

beforeAll(async () => {
  database = await testControlDatabase();
  connections = new MongoConnections(database.db);
  end = await startStoreEnd({
    openConnection: async ({ scope }) => {
      opened.push(Number(scope?.revision));
      return { generation: 'g', scopePending: true };
    },
    applyScope: async () => {
      applied++;
      return (await steps.shift()?.()) ?? { done: true };
    },
    removeConnection: async () => {
      removals++;
      return { done: true, removedRecords: 0n };
    },
  });
});
afterAll(async () => {
  await end.stop();
  await database.drop();
});
beforeEach(async () => {
  [opened, applied, removals, steps] = [[], 0, 0, []];
  await database.db.connections.deleteMany({});
  purges = new ScopePurges(connections, end.store, logger);
});
afterEach(() => purges.stop());

const more = async () => ({ done: false });
const purgeOf = async () => (await connections.find(narrowed))?.purge;

describe('a purge', () => {
  test('goes on until nothing is left, and is noted as done then', async () => {
    await connections.insert(narrowed);
    steps = [more, more];
    purges.start(narrowed);
    await purges.idle(narrowed);
    expect([opened, applied]).toEqual([[2], 3]);
    expect(await purgeOf()).toBeUndefined();
  });

  test('is done once, however often it is asked for', async () => {
    await connections.insert(narrowed);
    for (let i = 0; i < 5; i++) purges.start(narrowed);
    await purges.idle(narrowed);
    expect(applied).toBe(1);
  });

  test('goes on after failures', async () => {
    await connections.insert(narrowed);
    steps = [more, () => Promise.reject(new TidemarkError('DATABASE_UNAVAILABLE', 'away'))];
    purges.start(narrowed);
    await purges.idle(narrowed);
    expect(applied).toBe(3);
    expect(await purgeOf()).toBeUndefined();
  });

  test('minds a scope that changes under it: what that asks for is done, too', async () => {
    await connections.insert(narrowed);
    const narrower = { ...narrowed, scope: { ...narrowed.scope, revision: 3 } };
    steps = [
      async () => {
        await connections.replace({ ...narrower, purge: { revision: 3, since: new Date() } });
        return { done: true };
      },
    ];
    purges.start(narrowed);
    await purges.idle(narrowed);
    expect(opened).toEqual([2, 3]);
    expect(await purgeOf()).toBeUndefined();
  });

  test('left by a process that ends is still to be done', async () => {
    await connections.insert(narrowed);
    let stopped: Promise<void> | undefined;
    steps = [
      async () => {
        stopped = purges.stop();
        return { done: false };
      },
    ];
    purges.start(narrowed);
    await purges.idle(narrowed);
    await stopped;
    expect(await purgeOf()).toBeDefined();
    purges = new ScopePurges(connections, end.store, logger);
    purges.start(narrowed);
    await purges.idle(narrowed);
    expect(await purgeOf()).toBeUndefined();
  });

  test('is none of a connection that is gone, being deleted, or made anew under its name', async () => {
    purges.start(narrowed);
    await purges.idle(narrowed);
    await connections.insert({ ...narrowed, createTime: new Date(5_000) });
    purges.start(narrowed);
    await purges.idle(narrowed);
    await connections.changeState(narrowed, ['ACTIVE'], 'DELETING', '');
    purges.start({ ...narrowed, createTime: new Date(5_000) });
    await purges.idle(narrowed);
    expect([opened, applied]).toEqual([[], 0]);
  });

  test('of a connection deleted meanwhile leaves nothing of it open in the store', async () => {
    await connections.insert(narrowed);
    steps = [
      async () => {
        await connections.changeState(narrowed, ['ACTIVE'], 'DELETING', '');
        throw new TidemarkError('CONNECTION_NOT_FOUND', 'it is removed');
      },
    ];
    purges.start(narrowed);
    await purges.idle(narrowed);
    expect([opened, removals]).toEqual([[2], 0]);
    expect(await purgeOf()).toBeDefined();
  });
});
