import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLogger } from '@tidemark/runtime';
import { leaseId, type LeaseKey } from '@tidemark/model';
import { once } from 'node:events';
import { LeaseKeeper } from './lease-keeper.js';
import type { ControlDatabase } from './mongo-collections.js';
import { MongoLeases } from './mongo-leases.js';
import { testControlDatabase } from './testing/control-database.js';

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let db: ControlDatabase;
let leases: MongoLeases;

beforeAll(async () => {
  database = await testControlDatabase();
  db = database.db;
  leases = new MongoLeases(db, 60_000);
});
afterAll(() => database.drop());

let models = 0;
const newKey = (): LeaseKey => ({
  tenantId: 'acme',
  connectionId: 'hr',
  model: `m${models++}`,
  kind: 'FULL',
});
const expire = (key: LeaseKey) =>
  db.leases.updateOne({ _id: leaseId(key) }, { $set: { expiresAt: new Date(0) } });

describe('a lease', () => {
  test('goes to one of many who ask at the same time', async () => {
    const key = newKey();
    const owners = Array.from({ length: 20 }, (_, index) => `owner-${index}`);
    const got = await Promise.all(owners.map((owner) => leases.acquire(key, 'run', owner)));
    expect(got.filter((lease) => lease !== undefined)).toHaveLength(1);
  });

  test('is refused to others until it expires, and to its own process too', async () => {
    const key = newKey();
    await leases.acquire(key, 'run', 'a');
    expect(await leases.acquire(key, 'run', 'b')).toBeUndefined();
    expect(await leases.acquire(key, 'run', 'a')).toBeUndefined();
    await expire(key);
    expect(await leases.acquire(key, 'run', 'b')).toMatchObject({ owner: 'b' });
  });

  test('has a strictly greater epoch each time it is acquired, whoever acquires it', async () => {
    const key = newKey();
    const epochs: number[] = [];
    for (let turn = 0; turn < 10; turn++) {
      const lease = await leases.acquire(key, 'run', `owner-${turn % 2}`);
      if (lease === undefined) throw new Error('the lease is free');
      epochs.push(lease.epoch);
      if (turn % 3 === 0) await expire(key);
      else await leases.release(lease);
    }
    expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b));
    expect(epochs.every(Number.isSafeInteger)).toBe(true);
  });

  test('never repeats an epoch, though its connection was deleted and made anew', async () => {
    const key = newKey();
    const before = await leases.acquire(key, 'run', 'a');
    await db.leases.deleteOne({ _id: leaseId(key) });
    const after = await leases.acquire(key, 'run', 'b');
    expect(after?.epoch).toBeGreaterThan(before?.epoch ?? Infinity);
  });

  test('cannot be renewed by who lost it, nor given back by him under its new owner', async () => {
    const key = newKey();
    const lost = await leases.acquire(key, 'run', 'a');
    await expire(key);
    const taken = await leases.acquire(key, 'run', 'b');
    if (lost === undefined || taken === undefined) throw new Error('both got it in turn');
    expect(await leases.renew(lost)).toBeUndefined();
    await leases.release(lost);
    expect(await leases.acquire(key, 'run', 'c')).toBeUndefined();
    expect(await leases.renew(taken)).toMatchObject({ owner: 'b', epoch: taken.epoch });
  });

  test('can be renewed after it expired, as long as nobody took it', async () => {
    const key = newKey();
    const lease = await leases.acquire(key, 'run', 'a');
    if (lease === undefined) throw new Error('the lease is free');
    await expire(key);
    expect(await leases.renew(lease)).toMatchObject({ epoch: lease.epoch });
    expect(await leases.acquire(key, 'run', 'b')).toBeUndefined();
  });

  test('shows which runs are alive', async () => {
    const [alive, dead, free] = [newKey(), newKey(), newKey()];
    await leases.acquire(alive, 'run-alive', 'a');
    await leases.acquire(dead, 'run-dead', 'a');
    await expire(dead);
    const runs = [
      { ...alive, id: 'run-alive' },
      { ...dead, id: 'run-dead' },
      { ...free, id: 'run-free' },
    ];
    expect(await leases.alive(runs)).toEqual(new Set(['run-alive']));
  });
});

describe('the keeper of a lease', () => {
  const logger = createLogger({ service: 'test', level: 'error' });
  const shortly = 600;

  async function kept(): Promise<{ key: LeaseKey; keeper: LeaseKeeper; short: MongoLeases }> {
    const key = newKey();
    const short = new MongoLeases(db, shortly);
    const lease = await short.acquire(key, 'run', 'a');
    if (lease === undefined) throw new Error('the lease is free');
    return { key, short, keeper: new LeaseKeeper(short, lease, shortly, logger) };
  }

  test('holds it for longer than it lasts, and gives it back', async () => {
    const { key, short, keeper } = await kept();
    const first = keeper.lease.deadline;
    while (keeper.lease.deadline < first + shortly) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await short.acquire(key, 'run', 'b')).toBeUndefined();
    }
    await keeper.release();
    expect(await short.acquire(key, 'run', 'b')).toMatchObject({ owner: 'b' });
  });

  test('aborts the work once another has it', async () => {
    const { key, keeper, short } = await kept();
    await expire(key);
    expect(await short.acquire(key, 'run', 'b')).toMatchObject({ owner: 'b' });
    if (!keeper.signal.aborted) await once(keeper.signal, 'abort');
    expect(keeper.signal.reason).toMatchObject({ reason: 'LEASE_LOST' });
    await keeper.release();
  });
});
