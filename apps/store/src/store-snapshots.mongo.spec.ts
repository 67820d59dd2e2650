import { SyncKind } from '@tidemark/contracts';
import { forTenant } from '@tidemark/rpc';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { brief, employee, many } from './testing/employees.js';
import { startStore, TestWriter, type StoreHarness } from './testing/harness.js';
import { newWriter } from './testing/writers.js';

let harness: StoreHarness;

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

describe('snapshots', () => {
  it('delete what a certified one did not hold, with a tombstone, and restore what comes back', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', [employee('a'), employee('b'), employee('c')]);
    const end = await writer.full('employees', 'run-2', [employee('a'), employee('c', 2)]);
    expect(end).toMatchObject({
      held: false,
      certificate: { certified: true, uniqueIds: true, observedCount: 2n },
      counters: { deleted: 1n, updated: 1n },
    });
    const { records } = await writer.records();
    expect(brief(records)).toEqual(['a v1', 'c v2', 'b v2 deleted']);
    expect(records[2]?.data).toHaveLength(0);
    await writer.full('employees', 'run-3', [employee('a'), employee('b'), employee('c', 2)]);
    expect(brief((await writer.records()).records)).toEqual(['a v1', 'c v2', 'b v3']);
    expect(brief((await writer.records({ excludeDeleted: true })).records)).toHaveLength(3);
  });

  it.each([
    ['a failure', { failures: ['a page failed'] }],
    ['no end of the source', { endEvidence: '' }],
    ['fewer records than the source says', { expectedRecords: 3n }],
  ])('delete nothing with %s', async (_, end) => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', [employee('a'), employee('b'), employee('c')]);
    const run = await writer.begin('employees', 'run-2');
    await run.page([employee('a')]);
    expect(await run.finish(end)).toMatchObject({
      certificate: { certified: false },
      counters: { deleted: 0n },
    });
    expect(brief((await writer.records()).records)).toEqual(['a v1', 'b v1', 'c v1']);
  });

  it('quarantine an id that comes twice with other content, in a page or across pages, and delete nothing', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', [employee('a'), employee('b'), employee('z')]);
    const end = await writer.full(
      'employees',
      'run-2',
      [employee('a'), employee('b'), employee('b', 2)],
      [employee('a', 3), employee('b')],
    );
    expect(end).toMatchObject({
      certificate: { certified: false, uniqueIds: false },
      counters: { quarantined: 2n, deleted: 0n, unchanged: 3n },
    });
    const { records } = await harness.reading.listQuarantine(
      { connectionId: writer.connectionId },
      { metadata: forTenant('acme') },
    );
    expect(records.map(({ id, reason }) => [id, reason])).toEqual([
      ['a', 3],
      ['b', 3],
    ]);
    expect(brief((await writer.records()).records)).toEqual(['a v1', 'b v1', 'z v1']);
  });

  it('never delete a record that could not be read this time', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', [employee('a'), employee('b'), employee('c')]);
    const known = await writer.begin('employees', 'run-2');
    await harness.writing.commitPage({
      ...known.message([employee('a')]),
      rejected: [{ id: 'b', position: 'f:2', reason: 4, message: 'no number' }],
    });
    expect(await known.finish()).toMatchObject({
      certificate: { certified: true },
      counters: { deleted: 1n, quarantined: 1n },
    });
    expect(brief((await writer.records()).records)).toEqual(['a v1', 'b v1', 'c v2 deleted']);
    const unknown = await writer.begin('employees', 'run-3');
    await harness.writing.commitPage({
      ...unknown.message([employee('a')]),
      rejected: [{ position: 'f:2', reason: 1, message: 'malformed' }],
    });
    expect(await unknown.finish()).toMatchObject({
      certificate: { certified: false },
      counters: { deleted: 0n },
    });
  });

  it('are held when they would delete too much, until a person approves or discards', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', many(200));
    const run = await writer.begin('employees', 'run-2');
    await run.page([...many(120), employee('new')]);
    expect(await run.finish()).toMatchObject({
      held: true,
      heldDeletes: 80n,
      counters: { created: 1n, deleted: 0n },
    });
    expect(await run.finish()).toMatchObject({ held: true });
    const approved = await writer.begin('employees', 'run-2');
    expect(await approved.finish({ decision: 2 })).toMatchObject({ held: false, counters: { deleted: 80n } });
    const other = await writer.begin('employees', 'run-3');
    await other.page(many(10));
    expect(await other.finish()).toMatchObject({ held: true, heldDeletes: 111n });
    expect(await other.finish({ decision: 3 })).toMatchObject({ held: false, counters: { deleted: 0n } });
    expect((await writer.records({ excludeDeleted: true })).records).toHaveLength(121);
  });

  it('leave alone what another run touched since they began, be it older or newer (P5)', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', [employee('a'), employee('b'), employee('c'), employee('d')]);
    const full = await writer.begin('employees', 'run-2');
    const delta = await writer.begin('employees', 'run-3', SyncKind.DELTA);
    await delta.page([employee('b', 5), ['c', null], employee('e')]);
    const stale = await full.page([employee('a'), employee('b', 1), employee('c', 1), employee('d')]);
    expect(stale.counters).toMatchObject({ unchanged: 2n, stale: 2n });
    expect(await full.finish()).toMatchObject({
      certificate: { certified: true },
      counters: { deleted: 0n },
    });
    expect(brief((await writer.records()).records)).toEqual(['a v1', 'd v1', 'b v2', 'c v2 deleted', 'e v1']);
  });

  it('find their deletes after a crash of the store between any two steps', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', many(1_000), [employee('x'), employee('y')]);
    const run = await writer.begin('employees', 'run-2');
    await run.page([employee('x')]);
    // Another process, with nothing in memory, goes on.
    const second = await startStore(harness.database);
    const resumed = await new TestWriter(second, writer.connectionId).begin(
      'employees',
      'run-2',
      SyncKind.FULL,
      99n,
    );
    await resumed.page(many(990));
    expect(await resumed.finish()).toMatchObject({
      held: false,
      counters: { pages: 2n, unchanged: 991n, deleted: 11n },
    });
    await second.stop();
  });

  it('fail past a share of quarantined records', async () => {
    const writer = await newWriter(harness);
    const run = await writer.begin('employees', 'run-1');
    const rejected = Array.from({ length: 20 }, (_, i) => ({
      id: `bad${i}`,
      position: `f:${i}`,
      reason: 1,
      message: 'malformed',
    }));
    await harness.writing.commitPage({ ...run.message(many(30)), rejected });
    await expect(run.finish()).rejects.toMatchObject({ reason: 'QUARANTINE_LIMIT_EXCEEDED' });
  });
});
