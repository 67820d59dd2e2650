import { SyncKind } from '@tidemark/contracts';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { employee, levels, many } from './testing/employees.js';
import { startStore, type StoreHarness } from './testing/harness.js';
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
