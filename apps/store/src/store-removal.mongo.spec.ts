import { WatchStart } from '@tidemark/contracts';
import { forTenant } from '@tidemark/rpc';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { employee, EMPLOYEE_FIELDS, many } from './testing/employees.js';
import { startStore, TestWriter, type StoreHarness } from './testing/harness.js';
import { newWriter, removeAll, uidOf } from './testing/writers.js';

let harness: StoreHarness;

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

describe('removal', () => {
  it('leaves no run that began while it went on', async () => {
    const writer = await newWriter(harness);
    const uid = await uidOf(writer);
    const insert = harness.db.runs.insertOne.bind(harness.db.runs);
    const raced = jest.spyOn(harness.db.runs, 'insertOne').mockImplementationOnce(async (...args) => {
      await removeAll(writer);
      return insert(...args);
    });
    await expect(writer.begin('employees', 'run-1')).rejects.toMatchObject({ reason: 'LEASE_LOST' });
    raced.mockRestore();
    expect(await harness.db.runs.countDocuments({ c: uid })).toBe(0);
  });

  it("does not end a watch of all the tenant's other connections", async () => {
    const tenant = 'many';
    const [gone, stays] = [new TestWriter(harness, 'gone', tenant), new TestWriter(harness, 'stays', tenant)];
    for (const writer of [gone, stays]) {
      await writer.open(EMPLOYEE_FIELDS);
      await writer.full('employees', 'run-1', [employee('a')]);
    }
    const find = harness.db.commits.findOne.bind(harness.db.commits);
    const raced = jest
      .spyOn(harness.db.commits, 'findOne')
      .mockImplementationOnce(async (...args: Parameters<typeof find>) => {
        const commit = await find(...args);
        await removeAll(gone);
        return commit;
      });
    const stream = harness.reading.watchChanges(
      { start: WatchStart.FROM_OLDEST },
      { metadata: forTenant(tenant) },
    );
    for await (const { connectionId, changes } of stream) {
      if (changes.length === 0) continue;
      expect(connectionId).toBe('stays');
      break;
    }
    raced.mockRestore();
  });

  it('never passes for the end of a stream, nor its leftovers for changes', async () => {
    const writer = await newWriter(harness);
    const records = many(2_000);
    await writer.full('employees', 'run-1', records.slice(0, 1_000), records.slice(1_000));
    const stream = harness.reading.streamRecords(
      { connectionId: writer.connectionId, pageSize: 1 },
      { metadata: forTenant('acme') },
    );
    const read = (async () => {
      let n = 0;
      for await (const { records } of stream) {
        if (n === 0)
          await harness.writing.removeConnection({ tenantId: 'acme', connectionId: writer.connectionId });
        n += records.length;
      }
      return n;
    })();
    await expect(read).rejects.toMatchObject({ reason: 'CONNECTION_NOT_FOUND' });
  });
});
