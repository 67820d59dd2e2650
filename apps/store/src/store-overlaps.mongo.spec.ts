import { setTimeout as sleep } from 'node:timers/promises';
import { SyncKind } from '@tidemark/contracts';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { employee, EMPLOYEE_FIELDS, levels, many } from './testing/employees.js';
import { startStore, TestWriter, type StoreHarness } from './testing/harness.js';
import { holdNextWrite } from './testing/held-writes.js';
import { newWriter } from './testing/writers.js';

let harness: StoreHarness;

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

describe('deletes', () => {
  it('do not follow from a count that a record served twice made up', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', [employee('a'), employee('b'), employee('c')]);
    const run = await writer.begin('employees', 'run-2');
    await run.page([employee('a'), employee('b')]);
    await run.page([employee('b')]); // paging moved: b again, c skipped
    expect(await run.finish({ expectedRecords: 3n })).toMatchObject({
      certificate: { certified: false, observedCount: 2n },
      counters: { deleted: 0n },
    });
  });

  it('never reach over to a model whose name begins alike', async () => {
    await expect(newWriter(harness, { a: ['id'], 'a:b': ['id'] })).rejects.toMatchObject({
      reason: 'REQUEST_INVALID',
    });
  });

  it('are approved for the snapshot that was held, not for one begun anew under its name', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', many(100));
    const held = await writer.begin('employees', 'run-2');
    await held.page(many(10));
    expect(await held.finish()).toMatchObject({ held: true, heldDeletes: 90n });
    await writer.begin('employees', 'run-3');
    const again = await writer.begin('employees', 'run-2');
    expect(await again.finish({ decision: 2 })).toMatchObject({
      held: true,
      heldDeletes: 100n,
      counters: { deleted: 0n },
    });
  });

  it('spare a record that a delta saw unchanged after the snapshot began', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', [employee('a'), employee('b')]);
    const full = await writer.begin('employees', 'run-2');
    await full.page([employee('a')]);
    const delta = await writer.begin('employees', 'run-3', SyncKind.DELTA);
    await delta.page([employee('b')]);
    await full.finish();
    expect(await levels(writer)).toEqual(['a 1', 'b 1']);
  });
});

describe('a delta that overlaps a full sync', () => {
  it('does not lose what it read after the full sync had read the same record', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', [employee('a', 1)]);
    const full = await writer.begin('employees', 'run-2');
    const delta = await writer.begin('employees', 'run-3', SyncKind.DELTA);
    // The full sync read level 2, then the source went on to 3, then the delta read 3; the full sync's page comes first.
    await full.page([employee('a', 2)]);
    const failure = await delta.page([employee('a', 3)]).catch((error: unknown) => error);
    if (failure instanceof Error) {
      expect(failure).toMatchObject({ reason: 'PAGE_OUT_OF_ORDER' });
      const again = await writer.begin('employees', 'run-3', SyncKind.DELTA);
      await again.page([employee('a', 3)]);
    }
    expect(await levels(writer)).toEqual(['a 3']);
  });
});

describe('an older page of a full sync', () => {
  it('does not bring back a record whose deletion came before anything was stored of it', async () => {
    const writer = await newWriter(harness);
    const full = await writer.begin('employees', 'run-1');
    // The full sync has read x; it is deleted at the source, and the webhook says so first.
    const webhook = await writer.begin('employees', 'run-2', SyncKind.WEBHOOK);
    await webhook.page([['x', null]]);
    await webhook.finish();
    expect(await full.page([employee('a'), employee('x')])).toMatchObject({ counters: { stale: 1n } });
    await full.finish();
    expect(await levels(writer)).toEqual(['a 1']);
  });

  it('does not overwrite what a delta has seen to be as it is stored', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', [employee('a', 1)]);
    const full = await writer.begin('employees', 'run-2');
    // The source went to 2, where the full sync read it, and back to 1.
    const delta = await writer.begin('employees', 'run-3', SyncKind.DELTA);
    await delta.page([employee('a', 1)]);
    await delta.finish();
    await full.page([employee('a', 2)]);
    await full.finish();
    expect(await levels(writer)).toEqual(['a 1']);
  });

  it('does not restore a record that a webhook has said to be gone, still', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', [employee('a'), employee('x')]);
    const delta = await writer.begin('employees', 'run-2', SyncKind.DELTA);
    await delta.page([['x', null]]);
    await delta.finish();
    const full = await writer.begin('employees', 'run-3');
    const webhook = await writer.begin('employees', 'run-4', SyncKind.WEBHOOK);
    await webhook.page([['x', null]]);
    await webhook.finish();
    await full.page([employee('a'), employee('x')]);
    await full.finish();
    expect((await levels(writer)).sort()).toEqual(['a 1', 'x deleted']);
  });

  it('loses against what was seen between its plan and its write, too', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-1', [employee('a', 1)]);
    const full = await writer.begin('employees', 'run-2');
    const second = await startStore(harness.database);
    const elsewhere = new TestWriter(second, writer.connectionId);
    const held = holdNextWrite(async () => {
      const delta = await elsewhere.begin('employees', 'run-3', SyncKind.DELTA);
      await delta.page([employee('a', 1)]);
    });
    expect(await full.page([employee('a', 2)])).toMatchObject({ counters: { updated: 0n, stale: 1n } });
    held.mockRestore();
    await second.stop();
    expect(await levels(writer)).toEqual(['a 1']);
  });
});

describe('a delta and a webhook that share a commit', () => {
  it('both tell the open snapshot of their model what they saw', async () => {
    const writer = await newWriter(harness, { ...EMPLOYEE_FIELDS, jobs: ['id', 'name', 'level'] });
    await writer.full('employees', 'run-1', [employee('a'), employee('b'), employee('c')]);
    const full = await writer.begin('employees', 'run-2');
    const [delta, webhook, jobs] = [
      await writer.begin('employees', 'run-3', SyncKind.DELTA),
      await writer.begin('employees', 'run-4', SyncKind.WEBHOOK),
      await writer.begin('jobs', 'run-5'),
    ];
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const held = holdNextWrite(() => released);
    const first = jobs.page([employee('j')]);
    while (held.mock.calls.length === 0) await sleep(5);
    const both = [delta.page([employee('a')]), webhook.page([employee('b')])];
    await sleep(50);
    release();
    await first;
    await Promise.all(both);
    expect(held).toHaveBeenCalledTimes(3);
    held.mockRestore();
    await full.page([employee('c')]);
    await full.finish();
    expect(await levels(writer)).toEqual(['a 1', 'b 1', 'c 1', 'j 1']);
  });
});

describe('a run that is begun again', () => {
  it('takes no page that was read before, however late it comes', async () => {
    const writer = await newWriter(harness);
    const delta = await writer.begin('employees', 'run-1', SyncKind.DELTA);
    const late = delta.message([employee('c', 2)], 1n);
    const again = await writer.begin('employees', 'run-1', SyncKind.DELTA, delta.lease.epoch);
    await again.page([employee('a', 3), employee('c', 3)]);
    await expect(harness.writing.commitPage(late)).rejects.toMatchObject({ reason: 'PAGE_OUT_OF_ORDER' });
    expect(await levels(writer)).toEqual(['a 3', 'c 3']);
  });
});
