import { DeleteDecision, SyncKind } from '@tidemark/contracts';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { employee } from './testing/employees.js';
import { startStore, type TestWriter, type StoreHarness, type TestRun } from './testing/harness.js';
import { newWriter } from './testing/writers.js';

let harness: StoreHarness;

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

const end = (
  run: TestRun,
  more: {
    deltaCheckpoint?: Buffer;
    failures?: string[];
    endEvidence?: string;
    decision?: DeleteDecision;
  } = {},
) => {
  const {
    deltaCheckpoint,
    failures = [],
    endEvidence = 'end of test',
    decision = DeleteDecision.BY_GUARD,
  } = more;
  return harness.writing.finishRun({
    lease: run.lease,
    end: { endEvidence, failures, deltaCheckpoint: deltaCheckpoint ?? new Uint8Array(0) },
    decision,
  });
};
const begin = (writer: TestWriter, runId: string, kind: SyncKind) =>
  harness.writing.beginRun({
    lease: {
      tenantId: writer.tenantId,
      connectionId: writer.connectionId,
      model: 'employees',
      kind,
      runId,
      epoch: ++writer.epoch,
    },
  });

describe('delta checkpoints', () => {
  it('of a full sync start the next delta, and never a full sync', async () => {
    const writer = await newWriter(harness);
    const full = await writer.begin('employees', 'full-1');
    await full.page([employee('a')]);
    await end(full, { deltaCheckpoint: Buffer.from('since 1') });
    expect(Buffer.from((await begin(writer, 'delta-1', SyncKind.DELTA)).checkpoint).toString()).toBe(
      'since 1',
    );
    expect(Buffer.from((await begin(writer, 'full-2', SyncKind.FULL)).checkpoint).toString()).toBe('');
  });

  it.each([
    ['that failed in part', { failures: ['a page failed'] }],
    ['whose end was not seen', { endEvidence: '' }],
  ])('stay where they are after a delta %s', async (_, fault) => {
    const writer = await newWriter(harness);
    const first = await writer.begin('employees', 'delta-1', SyncKind.DELTA);
    await end(first, { deltaCheckpoint: Buffer.from('since 1') });
    const second = await writer.begin('employees', 'delta-2', SyncKind.DELTA);
    await second.page([employee('a')]);
    await end(second, { deltaCheckpoint: Buffer.from('since 2'), ...fault });
    expect(Buffer.from((await begin(writer, 'delta-3', SyncKind.DELTA)).checkpoint).toString()).toBe(
      'since 1',
    );
  });

  it('move by a full sync only if that was complete', async () => {
    const writer = await newWriter(harness);
    await end(await writer.begin('employees', 'full-1'), { deltaCheckpoint: Buffer.from('since 1') });
    await end(await writer.begin('employees', 'full-2'), {
      deltaCheckpoint: Buffer.from('since 2'),
      failures: ['a page failed'],
    });
    expect(Buffer.from((await begin(writer, 'delta-1', SyncKind.DELTA)).checkpoint).toString()).toBe(
      'since 1',
    );
    await end(await writer.begin('employees', 'full-3'), { deltaCheckpoint: Buffer.from('since 3') });
    expect(Buffer.from((await begin(writer, 'delta-2', SyncKind.DELTA)).checkpoint).toString()).toBe(
      'since 3',
    );
  });
});
