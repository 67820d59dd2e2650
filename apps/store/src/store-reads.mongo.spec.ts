import { forTenant } from '@tidemark/rpc';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { brief, employee, EMPLOYEE_FIELDS, many } from './testing/employees.js';
import { startStore, TestWriter, type StoreHarness } from './testing/harness.js';
import { newWriter, removeAll } from './testing/writers.js';

let harness: StoreHarness;

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

describe('reads', () => {
  it('by updated_after give exactly what changed since, tombstones included, whatever the watermark used', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', many(100));
    const first = await writer.records();
    const T = first.last.completeThrough;
    expect((await writer.records({ start: { $case: 'updatedAfter', value: T as Date } })).records).toEqual(
      [],
    );
    await writer.full(
      'employees',
      'run-2',
      [...many(100).slice(0, 97), employee('e00003', 9)].filter(([id], i) => id !== 'e00003' || i === 97),
    );
    const after = await writer.records({ start: { $case: 'updatedAfter', value: T as Date } });
    expect(brief(after.records)).toEqual([
      'e00003 v2',
      'e00097 v2 deleted',
      'e00098 v2 deleted',
      'e00099 v2 deleted',
    ]);
    const byCursor = await writer.records({ start: { $case: 'cursor', value: first.last.cursor } });
    expect(byCursor.records).toEqual(after.records);
  });

  it('after a moment in the future are refused, not empty', async () => {
    const writer = await newWriter(harness);
    const read = (ms: number) =>
      writer.records({ start: { $case: 'updatedAfter', value: new Date(Date.now() + ms) } });
    await expect(read(3_600_000)).rejects.toMatchObject({ reason: 'REQUEST_INVALID' });
    expect((await read(1_000)).records).toEqual([]);
  });

  it('cut by a limit give a cursor and a watermark that lose nothing', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', many(10), many(20).slice(10));
    const ids: string[] = [];
    let start: { $case: 'cursor'; value: string } | undefined;
    for (;;) {
      const page = await writer.records({ limit: 3n, ...(start ? { start } : {}) });
      ids.push(...page.records.map(({ id }) => id));
      if (page.records.length === 0) break;
      start = { $case: 'cursor', value: page.last.cursor };
    }
    expect(ids).toEqual(many(20).map(([id]) => id));
    const cut = await writer.records({ limit: 15n });
    const rest = await writer.records({
      start: { $case: 'updatedAfter', value: cut.last.completeThrough as Date },
    });
    expect(rest.records.map(({ id }) => id)).toEqual(
      many(20)
        .map(([id]) => id)
        .slice(10),
    );
  });

  it('refuse foreign, forged and future cursors, and one from before the connection was made anew', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', [employee('a')]);
    const { cursor } = (await writer.records()).last;
    const other = await newWriter(harness);
    const read = (by: TestWriter, value: string) => by.records({ start: { $case: 'cursor', value } });
    await expect(read(other, cursor)).rejects.toMatchObject({ reason: 'CURSOR_INVALID' });
    await expect(read(writer, `${cursor.slice(0, -2)}AA`)).rejects.toMatchObject({
      reason: 'CURSOR_INVALID',
    });
    await expect(read(writer, `${cursor}=`)).rejects.toMatchObject({ reason: 'CURSOR_INVALID' });
    await expect(read(writer, 'x'.repeat(5000))).rejects.toMatchObject({ reason: 'CURSOR_INVALID' });
    await expect(read(writer, '')).rejects.toMatchObject({ reason: 'CURSOR_INVALID' });
    await removeAll(writer);
    await writer.open(EMPLOYEE_FIELDS);
    await expect(read(writer, cursor)).rejects.toMatchObject({ reason: 'MUST_RESYNC' });
  });

  it('cut payloads to the fields asked for and refuse fields outside the scope', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', [['a', { id: 'a', level: 1, work: { city: 'Bonn' } }]]);
    const { records } = await writer.records({ fields: ['work.city'] });
    expect(Buffer.from(records[0]?.data ?? '').toString()).toBe('{"work":{"city":"Bonn"}}');
    await expect(writer.records({ fields: ['ssn'] })).rejects.toMatchObject({
      reason: 'FIELD_UNKNOWN',
      violations: [{ field: 'fields' }],
    });
    await expect(writer.records({ models: ['jobs'] })).rejects.toMatchObject({ reason: 'MODEL_NOT_FOUND' });
    await expect(writer.records({ filter: new Map([['level', '1']]) })).rejects.toMatchObject({
      reason: 'FILTER_UNSUPPORTED',
    });
  });

  it("look the same for another tenant's connection as for none", async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', [employee('a')]);
    const foreign = new TestWriter(harness, writer.connectionId, 'rival');
    const none = new TestWriter(harness, 'no-such', 'rival');
    const failure = await foreign.records().catch((error: unknown) => error);
    expect(failure).toMatchObject({ reason: 'CONNECTION_NOT_FOUND' });
    expect(await none.records().catch((error: unknown) => error)).toEqual(failure);
  });

  it('of history give a record as of a time or version, and its versions', async () => {
    const writer = await newWriter(harness);
    const metadata = forTenant('acme');
    const { connectionId } = writer;
    const at = { connectionId, model: 'employees', id: 'a' };
    for (const level of [1, 2, 3])
      await writer.full('employees', `run-${level}`, [['a', { id: 'a', level }]]);
    await writer.full('employees', 'run-4', []);
    const { versions } = await harness.reading.listRecordVersions(at, { metadata });
    expect(
      versions.map(({ record, operation, changedFields, runId }) => [
        record?.version,
        operation,
        changedFields,
        runId,
      ]),
    ).toEqual([
      [4n, 3, [], 'run-4'],
      [3n, 2, ['level'], 'run-3'],
      [2n, 2, ['level'], 'run-2'],
      [1n, 1, [], 'run-1'],
    ]);
    expect(versions[1]?.supersededAt).toEqual(versions[0]?.record?.changedAt);
    const second = await harness.reading.getRecord(
      { ...at, at: { $case: 'version', value: 2n } },
      { metadata },
    );
    expect(Buffer.from(second.record?.data ?? '').toString()).toBe('{"id":"a","level":2}');
    const asOf = versions[1]?.record?.changedAt as Date;
    expect(
      (await harness.reading.getRecord({ ...at, at: { $case: 'asOf', value: asOf } }, { metadata })).record
        ?.version,
    ).toBe(3n);
    const before = new Date(Number(versions[3]?.record?.changedAt) - 1);
    await expect(
      harness.reading.getRecord({ ...at, at: { $case: 'asOf', value: before } }, { metadata }),
    ).rejects.toMatchObject({ reason: 'RECORD_NOT_FOUND' });
    const paged = await harness.reading.listRecordVersions({ ...at, pageSize: 3 }, { metadata });
    const rest = await harness.reading.listRecordVersions(
      { ...at, pageSize: 3, pageToken: paged.nextPageToken },
      { metadata },
    );
    expect([...paged.versions, ...rest.versions]).toEqual(versions);
  });
});
