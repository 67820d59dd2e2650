import { SyncKind } from '@tidemark/contracts';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { brief, employee, many } from './testing/employees.js';
import { startStore, type StoreHarness, type TestRecord } from './testing/harness.js';
import { dump } from './testing/stored.js';
import { newWriter } from './testing/writers.js';

let harness: StoreHarness;

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

describe('commits', () => {
  it('give records versions, sequences and one time a commit', async () => {
    const writer = await newWriter(harness);
    const run = await writer.begin('employees', 'run-1');
    await run.page([employee('a'), employee('b')]);
    const response = await run.page([employee('c')]);
    expect(response.counters).toMatchObject({ pages: 2n, read: 3n, created: 3n });
    const { records } = await writer.records();
    expect(records.map(({ id, version, sequence }) => [id, version, sequence])).toEqual([
      ['a', 1n, 1n],
      ['b', 1n, 2n],
      ['c', 1n, 3n],
    ]);
    expect(records[0]?.changedAt).toEqual(records[1]?.changedAt);
    expect(Number(records[2]?.changedAt)).toBeGreaterThan(Number(records[1]?.changedAt));
  });

  it('write nothing to records, versions, log or clock for an identical snapshot (R3)', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', [employee('a'), employee('b')]);
    const before = await dump(harness.db);
    const end = await writer.full('employees', 'run-2', [employee('b'), employee('a')]);
    expect(end.counters).toMatchObject({ read: 2n, unchanged: 2n, created: 0n, updated: 0n, deleted: 0n });
    expect(await dump(harness.db)).toEqual(before);
  });

  it('ask for the payloads of changed records alone, and commit nothing until they come', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', [employee('a'), employee('b')]);
    const run = await writer.begin('employees', 'run-2');
    run.sendPayloads = false;
    const asked = await run.page([employee('a'), employee('b', 2), employee('c')]);
    expect(asked.missingPayloads).toEqual([1, 2]);
    run.sendPayloads = true;
    const done = await run.page([employee('a'), employee('b', 2), employee('c')]);
    expect(done.counters).toMatchObject({ read: 3n, unchanged: 1n, updated: 1n, created: 1n });
  });

  it('answer a page that was committed as the first time, and refuse one out of order', async () => {
    const writer = await newWriter(harness);
    const run = await writer.begin('employees', 'run-1');
    await run.page([employee('a')]);
    const again = await harness.writing.commitPage(run.message([employee('a')], 0n));
    expect(again.counters).toMatchObject({ pages: 1n, read: 1n, created: 1n });
    await expect(harness.writing.commitPage(run.message([employee('b')], 2n))).rejects.toMatchObject({
      reason: 'PAGE_OUT_OF_ORDER',
    });
  });

  it('resolve the same page sent twice at once to one commit', async () => {
    const writer = await newWriter(harness);
    const run = await writer.begin('employees', 'run-1');
    const message = run.message(many(50));
    const answers = await Promise.all([1, 2, 3].map(() => harness.writing.commitPage(message)));
    expect(answers.map(({ counters }) => counters?.created)).toEqual([50n, 50n, 50n]);
    expect(brief((await writer.records()).records)).toHaveLength(50);
  });

  it('refuse a writer whose lease was taken over, and keep what it had committed', async () => {
    const writer = await newWriter(harness);
    const stalled = await writer.begin('employees', 'run-1');
    await stalled.page([employee('a')]);
    const successor = await writer.begin('employees', 'run-1');
    await expect(stalled.page([employee('b')])).rejects.toMatchObject({ reason: 'LEASE_LOST' });
    await expect(stalled.finish()).rejects.toMatchObject({ reason: 'LEASE_LOST' });
    await successor.page([employee('b')]);
    expect((await successor.finish()).counters).toMatchObject({ pages: 2n, created: 2n });
    await expect(writer.begin('employees', 'run-1', SyncKind.FULL, 1n)).rejects.toMatchObject({
      reason: 'LEASE_LOST',
    });
    await expect(writer.begin('employees', 'run-0', SyncKind.FULL, 2n)).rejects.toMatchObject({
      reason: 'LEASE_LOST',
    });
  });

  it('refuse a field outside the scope and store nothing of its page (P3)', async () => {
    const writer = await newWriter(harness);
    const run = await writer.begin('employees', 'run-1');
    const page: TestRecord[] = [employee('a'), ['b', { id: 'b', ssn: 'canary-491' }]];
    await expect(run.page(page)).rejects.toMatchObject({
      reason: 'SCOPE_VIOLATED',
      message: 'a record of employees came with a field that the scope does not allow',
    });
    await expect(run.page(page)).rejects.not.toMatchObject({ message: expect.stringContaining('canary') });
    expect((await writer.records()).records).toEqual([]);
  });

  it('keep every digit and any key, and see no change in another spelling of a number', async () => {
    const writer = await newWriter(harness, { odd: ['id', 'n', '$set', 'a\\.b', '__proto__', ''] });
    const odd =
      '{"id":"x","n":[1.10,12345678901234567890,1e400],"$set":{"$where":1},"a.b":1,"__proto__":{"polluted":true},"":0}';
    await writer.full('odd', 'run-1', [['x', odd]]);
    const { records } = await writer.records();
    expect(Buffer.from(records[0]?.data ?? '').toString()).toBe(
      '{"":0,"$set":{"$where":1},"__proto__":{"polluted":true},"a.b":1,"id":"x","n":[1.10,12345678901234567890,1e400]}',
    );
    const again = await writer.full('odd', 'run-2', [
      ['x', odd.replace('1.10', '11e-1').replace('1e400', '10e399')],
    ]);
    expect(again.counters).toMatchObject({ unchanged: 1n, updated: 0n });
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('let concurrent writers of one connection through without losing or repeating a sequence', async () => {
    const writer = await newWriter(harness, {
      employees: ['id', 'name', 'level'],
      jobs: ['id', 'name', 'level'],
    });
    const runs = await Promise.all([
      writer.begin('employees', 'run-1'),
      writer.begin('jobs', 'run-2'),
      writer.begin('employees', 'run-3', SyncKind.DELTA),
    ]);
    await Promise.all(
      runs.map(async (run, r) => {
        for (let page = 0; page < 10; page++)
          await run.page([employee(`r${r}-p${page}-a`), employee(`r${r}-p${page}-b`)]);
      }),
    );
    const { records } = await writer.records();
    expect(records.map(({ sequence }) => Number(sequence))).toEqual(
      Array.from({ length: 60 }, (_, i) => i + 1),
    );
  });
});
