import { SyncKind } from '@tidemark/contracts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { employee } from './testing/employees.js';
import {
  startStore,
  type StoreHarness,
  type TestRecord,
  type TestRun,
  type TestWriter,
} from './testing/harness.js';
import { newWriter } from './testing/writers.js';

// Changes that a source gives out only after its deltas have passed them (R10).

let harness: StoreHarness;
let writer: TestWriter;

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

beforeEach(async () => {
  writer = await newWriter(harness);
  await full(
    'full-1',
    ['a', 'b', 'c'].map((id) => employee(id)),
    { check: false },
  );
  await delta('delta-1', []);
});

const end = async (run: TestRun, deltaCheckpoint: string, check = false, deletes = true) => {
  const { lateArrivals } = await harness.writing.finishRun({
    lease: run.lease,
    end: { endEvidence: 'end of test', failures: [], deltaCheckpoint: Buffer.from(deltaCheckpoint) },
    ...(check ? { deltaCheck: { deletes } } : {}),
  });
  return lateArrivals && { ...lateArrivals, ids: lateArrivals.ids.toSorted() };
};

async function full(
  id: string,
  page: TestRecord[],
  { check = true, deletes = true, meanwhile = async () => undefined } = {},
): Promise<void> {
  const run = await writer.begin('employees', id);
  await run.page(page);
  await meanwhile();
  await end(run, `start of ${id}`, check, deletes);
}

async function delta(id: string, page: TestRecord[], kind = SyncKind.DELTA) {
  const run = await writer.begin('employees', id, kind);
  const from = Buffer.from(run.begun.checkpoint).toString();
  await run.page(page);
  return { from, late: await end(run, `end of ${id}`) };
}

const changed = [employee('a', 2), employee('b', 2)];

describe('after a full sync, the next delta', () => {
  it('goes on from where deltas were, and what it does not bring again came late', async () => {
    await full('full-2', changed);
    const { from, late } = await delta('delta-2', [employee('a', 2)]);
    expect(from).toBe('end of delta-1');
    expect(late).toEqual({ count: 2n, ids: ['b', 'c'] });
    expect(await delta('delta-3', [])).toEqual({ from: 'end of delta-2', late: undefined });
  });

  it('is well if it brings all of it, changed once more or not', async () => {
    await full('full-2', changed);
    const { late } = await delta('delta-2', [employee('a', 2), employee('b', 3), ['c', null]]);
    expect(late).toEqual({ count: 0n, ids: [] });
  });

  it('is not asked for deletes where deltas tell of none', async () => {
    await full('full-2', changed, { deletes: false });
    const { late } = await delta('delta-2', [employee('b', 2)]);
    expect(late).toEqual({ count: 1n, ids: ['a'] });
  });

  it('is not asked for what another run brought while the full sync went on, or a webhook after it', async () => {
    await full('full-2', [...changed, employee('c', 2), employee('d')], {
      meanwhile: async () => {
        const { late } = await delta('delta-2', [employee('a', 2)]);
        expect(late).toBeUndefined();
      },
    });
    await delta('webhook-1', [employee('b', 2)], SyncKind.WEBHOOK);
    expect((await delta('delta-3', [employee('c', 2)])).late).toEqual({ count: 1n, ids: ['d'] });
  });

  it('is not asked for what the source changed after it was read, if a full sync went on meanwhile', async () => {
    const early = await writer.begin('employees', 'delta-2', SyncKind.DELTA);
    await early.page([employee('a', 2)]);
    await full('full-2', [employee('a', 2), employee('b', 2), employee('c')]);
    await early.page([]);
    expect(await end(early, 'end of delta-2')).toBeUndefined();
    const { from, late } = await delta('delta-3', [employee('b', 2)]);
    expect(from).toBe('end of delta-2');
    expect(late).toEqual({ count: 0n, ids: [] });
  });

  it('goes on from a full sync that leaves nothing to check, and forgets what was', async () => {
    await full('full-2', changed);
    await full('full-3', [employee('a', 3)], { check: false });
    expect(await delta('delta-2', [])).toEqual({ from: 'start of full-3', late: undefined });
  });

  it('is checked once it succeeds, if one before it failed in part', async () => {
    await full('full-2', changed);
    const failed = await writer.begin('employees', 'delta-2', SyncKind.DELTA);
    await failed.page([employee('a', 2)]);
    const response = await failed.finish({ failures: ['a page failed'] });
    expect(response.lateArrivals).toBeUndefined();
    expect((await delta('delta-3', [])).late).toEqual({ count: 2n, ids: ['b', 'c'] });
  });
});
