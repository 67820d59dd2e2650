import { DeleteDecision, SyncKind, WatchStart } from '@tidemark/contracts';
import { forTenant } from '@tidemark/rpc';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { MongoPacks } from './mongo-packs.js';
import { MongoRecordReader } from './mongo-record-reader.js';
import {
  startStore,
  TestWriter,
  type StoreHarness,
  type TestRecord,
  type TestRun,
} from './testing/harness.js';

let harness: StoreHarness;
let names = 0;
const FIELDS = { employees: ['id', 'level'] };

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

async function newWriter(models: Record<string, string[]> = FIELDS): Promise<TestWriter> {
  const writer = new TestWriter(harness, `safe-${names++}`);
  await writer.open(models);
  return writer;
}

const employee = (id: string, level = 1): TestRecord => [id, { id, level }];
const many = (count: number, level = 1): TestRecord[] =>
  Array.from({ length: count }, (_, i) => employee(`e${String(i).padStart(5, '0')}`, level));
const brief = async (writer: TestWriter) =>
  (await writer.records()).records.map(
    ({ id, data, deletedAt }) => `${id} ${deletedAt ? 'deleted' : Buffer.from(data).toString()}`,
  );
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
    const writer = await newWriter();
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
    const writer = await newWriter();
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
    const writer = await newWriter();
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

describe('deletes', () => {
  it('do not follow from a count that a record served twice made up', async () => {
    const writer = await newWriter();
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
    await expect(newWriter({ a: ['id'], 'a:b': ['id'] })).rejects.toMatchObject({
      reason: 'REQUEST_INVALID',
    });
  });

  it('are approved for the snapshot that was held, not for one begun anew under its name', async () => {
    const writer = await newWriter();
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
    const writer = await newWriter();
    await writer.full('employees', 'run-1', [employee('a'), employee('b')]);
    const full = await writer.begin('employees', 'run-2');
    await full.page([employee('a')]);
    const delta = await writer.begin('employees', 'run-3', SyncKind.DELTA);
    await delta.page([employee('b')]);
    await full.finish();
    expect(await brief(writer)).toEqual(['a {"id":"a","level":1}', 'b {"id":"b","level":1}']);
  });
});

describe('a delta that overlaps a full sync', () => {
  it('does not lose what it read after the full sync had read the same record', async () => {
    const writer = await newWriter();
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
    expect(await brief(writer)).toEqual(['a {"id":"a","level":3}']);
  });
});

describe('a run that ends', () => {
  it('still tells watchers when its process dies before that', async () => {
    const writer = await newWriter();
    const { generation: uid } = await harness.writing.openConnection({
      tenantId: 'acme',
      connectionId: writer.connectionId,
      scope: { revision: 1n, models: [] },
    });
    const run = await writer.begin('employees', 'run-1');
    await run.page([employee('a')]);
    const broken = jest
      .spyOn(harness.db.models, 'updateOne')
      .mockRejectedValueOnce(new Error('the process died here'));
    await expect(run.finish()).rejects.toThrow();
    broken.mockRestore();
    await run.finish();
    const marks = await harness.db.commits
      .find({ c: uid, mark: { $exists: true } })
      .sort({ _id: 1 })
      .toArray();
    expect(marks.map(({ mark }) => mark)).toEqual([1, 2]);
    expect(await harness.db.seen.countDocuments({ c: uid })).toBe(0);
  });

  it('leaves no seen-keys of a run replaced, even when the process died in between', async () => {
    const writer = await newWriter();
    const { generation: uid } = await harness.writing.openConnection({
      tenantId: 'acme',
      connectionId: writer.connectionId,
      scope: { revision: 1n, models: [] },
    });
    await (await writer.begin('employees', 'run-1')).page([employee('a')]);
    const broken = jest
      .spyOn(harness.db.seen, 'deleteMany')
      .mockRejectedValueOnce(new Error('the process died here'));
    await expect(writer.begin('employees', 'run-2')).rejects.toThrow();
    broken.mockRestore();
    await writer.begin('employees', 'run-2');
    expect(await harness.db.seen.countDocuments({ c: uid })).toBe(0);
  });
});

describe('removal', () => {
  it('leaves no run that began while it went on', async () => {
    const writer = await newWriter();
    const { generation: uid } = await harness.writing.openConnection({
      tenantId: 'acme',
      connectionId: writer.connectionId,
      scope: { revision: 1n, models: [] },
    });
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
      await writer.open(FIELDS);
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
    const writer = await newWriter();
    await writer.full('employees', 'run-1', many(2_000));
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

async function removeAll(writer: TestWriter): Promise<void> {
  for (;;) {
    const { done } = await harness.writing.removeConnection({
      tenantId: writer.tenantId,
      connectionId: writer.connectionId,
    });
    if (done) return;
  }
}

describe('an outage of the database', () => {
  it('is what readers are told when the commit of a killed process stays open, instead of waiting for it', async () => {
    const writer = await newWriter();
    const { generation: uid } = await harness.writing.openConnection({
      tenantId: 'acme',
      connectionId: writer.connectionId,
      scope: { revision: 1n, models: [] },
    });
    const session = harness.database.client.startSession();
    session.startTransaction();
    await harness.db.clocks.updateOne({ _id: uid }, { $inc: { seq: 1 } }, { session });
    const packs = new MongoPacks(harness.db, harness.store.cabinet);
    const fenced = new MongoRecordReader(harness.db, packs, 50).fence(uid);
    await expect(fenced).rejects.toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
    await session.abortTransaction();
    await session.endSession();
    expect((await writer.records()).records).toEqual([]);
  });

  it('is told as such, so that callers try again', async () => {
    const writer = await newWriter();
    const { MongoNetworkError } = await import('mongodb');
    const broken = jest.spyOn(harness.db.clocks, 'findOne').mockRejectedValue(new MongoNetworkError('gone'));
    const failure = await writer.begin('employees', 'run-1').catch((error: unknown) => error);
    broken.mockRestore();
    expect(failure).toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
  });
});
