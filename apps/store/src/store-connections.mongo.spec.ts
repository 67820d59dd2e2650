import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { employee, EMPLOYEE_FIELDS, many } from './testing/employees.js';
import { startStore, type StoreHarness } from './testing/harness.js';
import { newWriter, removeAll, uidOf } from './testing/writers.js';

let harness: StoreHarness;

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

describe('connections', () => {
  it('widen their scope', async () => {
    const writer = await newWriter(harness);
    await writer.open({ employees: [...EMPLOYEE_FIELDS.employees, 'phone'] }, 2n);
    await writer.full('employees', 'run-1', [['a', { id: 'a', phone: '1' }]]);
  });

  it('leave nothing behind when removed', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', many(600));
    await writer.full('employees', 'run-2', many(600, 2));
    const uid = await uidOf(writer);
    const run = await writer.begin('employees', 'run-3');
    await removeAll(writer);
    await expect(run.page([employee('late')])).rejects.toMatchObject({ reason: 'CONNECTION_NOT_FOUND' });
    for (const collection of await harness.database.db.collections()) {
      expect(await collection.countDocuments({ $or: [{ c: uid }, { _id: uid as never }] })).toBe(0);
    }
  });
});
