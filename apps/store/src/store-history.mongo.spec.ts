import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SyncKind, WatchStart, type StreamRecordsRequest } from '@tidemark/contracts';
import { forTenant } from '@tidemark/rpc';
import { startStore, TestWriter, type StoreHarness, type TestRecord } from './testing/harness.js';

let harness: StoreHarness;
let connections = 0;

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

const item = (id: string, n: number): TestRecord => [
  id,
  { id, n, kind: n % 2 === 0 ? 'even' : 'odd', tags: [n, 'all'] },
];
const SCOPE = { items: ['id', 'n', 'kind', 'tags'] };

async function newWriter(index: Record<string, string[]> = {}, on = harness): Promise<TestWriter> {
  const writer = new TestWriter(on, `history-${connections++}`);
  await writer.open(SCOPE, 1n, index);
  return writer;
}

const data = ({ data: bytes, deletedAt }: { data: Uint8Array; deletedAt?: Date | undefined }) =>
  deletedAt ? 'deleted' : (JSON.parse(Buffer.from(bytes).toString()) as { n: number }).n;

async function state(
  writer: TestWriter,
  request: Partial<StreamRecordsRequest> = {},
): Promise<Record<string, unknown>> {
  const { records } = await writer.records(request);
  return Object.fromEntries(records.map((record) => [record.id, data(record)]));
}

describe('a model as of a time', () => {
  it('is what it was then, page by page and whatever happened since', async () => {
    const writer = await newWriter();
    const moments: Date[] = [];
    const states: Record<string, unknown>[] = [];
    for (let round = 0; round < 6; round++) {
      const page = Array.from({ length: 40 }, (_, i) => item(`i${i}`, round * 100 + (i % (round + 1))));
      await writer.full('items', `run-${round}`, page.slice(round, 30 + round));
      states.push(await state(writer));
      moments.push((await writer.records()).last.completeThrough as Date);
    }
    for (const [index, asOf] of moments.entries())
      expect(await state(writer, { asOf, pageSize: 7 })).toEqual(states[index]);
    const { records, last } = await writer.records({ asOf: moments[2] as Date, limit: 10n });
    const rest = await writer.records({
      asOf: moments[2] as Date,
      start: { $case: 'cursor', value: last.cursor },
    });
    expect(records.length + rest.records.length).toBe(Object.keys(states[2] ?? {}).length);
    await expect(state(writer, { asOf: new Date(Date.now() + 3_600_000) })).rejects.toMatchObject({
      reason: 'REQUEST_INVALID',
    });
  });
});

describe('a filter', () => {
  it('finds records by index fields, scalars in arrays too, tombstones by their last content', async () => {
    const writer = await newWriter({ items: ['kind', 'tags'] });
    await writer.full(
      'items',
      'run-1',
      [1, 2, 3, 4].map((n) => item(`i${n}`, n)),
    );
    const delta = await writer.begin('items', 'run-2', SyncKind.DELTA);
    await delta.page([item('i1', 6), ['i3', null]]);
    expect(await state(writer, { filter: new Map(Object.entries({ kind: '"even"' })) })).toEqual({
      i1: 6,
      i2: 2,
      i4: 4,
    });
    expect(await state(writer, { filter: new Map(Object.entries({ kind: '"odd"' })) })).toEqual({
      i3: 'deleted',
    });
    expect(await state(writer, { filter: new Map(Object.entries({ kind: '"even"', tags: '4.0' })) })).toEqual(
      { i4: 4 },
    );
    expect(
      await state(writer, {
        filter: new Map(Object.entries({ tags: '"all"' })),
        excludeDeleted: true,
        limit: 2n,
      }),
    ).toEqual({
      i2: 2,
      i4: 4,
    });
    expect(await state(writer, { filter: new Map(Object.entries({ kind: '"none"' })) })).toEqual({});
  });

  it('is refused for other fields and for what is no scalar', async () => {
    const writer = await newWriter({ items: ['kind'] });
    await expect(state(writer, { filter: new Map(Object.entries({ n: '1' })) })).rejects.toMatchObject({
      reason: 'FILTER_UNSUPPORTED',
    });
    for (const value of ['even', '{}', '[1]', ''])
      await expect(state(writer, { filter: new Map(Object.entries({ kind: value })) })).rejects.toMatchObject(
        {
          reason: 'REQUEST_INVALID',
        },
      );
  });

  it('works once the index of a field declared later is made', async () => {
    const writer = await newWriter();
    await writer.full(
      'items',
      'run-1',
      [1, 2].map((n) => item(`i${n}`, n)),
    );
    expect(await writer.open(SCOPE, 2n, { items: ['kind'] })).toBe(true);
    await expect(state(writer, { filter: new Map(Object.entries({ kind: '"odd"' })) })).rejects.toMatchObject(
      {
        reason: 'SERVICE_UNAVAILABLE',
      },
    );
    expect(await writer.purge()).toBeUndefined();
    expect(await state(writer, { filter: new Map(Object.entries({ kind: '"odd"' })) })).toEqual({ i1: 1 });
    expect((await writer.records()).records.map(({ version }) => version)).toEqual([1n, 1n]);
  });
});

describe('retention', () => {
  const expired = { reason: 'CURSOR_EXPIRED' };

  async function retain({ connectionId, tenantId }: TestWriter, historyMs: number, tombstoneMs: number) {
    const store = await startStore(harness.database, { retention: { historyMs, tombstoneMs } });
    let [versions, tombstones] = [0n, 0n];
    for (let done = false; !done;) {
      const answer = await store.writing.applyRetention({ tenantId, connectionId });
      done = answer.done;
      versions += answer.removedVersions;
      tombstones += answer.removedTombstones;
    }
    await store.stop();
    return { versions, tombstones };
  }

  async function watchFrom(writer: TestWriter, cursors: string[]) {
    const request = { connectionIds: [writer.connectionId], cursors, start: WatchStart.FROM_OLDEST };
    const ids: string[] = [];
    for await (const { changes, marker } of harness.reading.watchChanges(request, {
      metadata: forTenant('acme'),
    })) {
      ids.push(...changes.map(({ record }) => record?.id ?? ''));
      if (marker?.runId === 'run-3') break;
    }
    return ids;
  }

  it('removes history, then tombstones and log, and says so to whoever comes too late', async () => {
    const writer = await newWriter();
    const { connectionId } = writer;
    await writer.full(
      'items',
      'run-1',
      Array.from({ length: 300 }, (_, i) => item(`i${i}`, 1)),
    );
    const early = (await writer.records()).last;
    await writer.full(
      'items',
      'run-2',
      Array.from({ length: 290 }, (_, i) => item(`i${i}`, 2)),
    );
    const middle = (await writer.records()).last;
    await writer.full(
      'items',
      'run-3',
      Array.from({ length: 290 }, (_, i) => item(`i${i}`, i < 5 ? 3 : 2)),
    );
    const before = await state(writer);

    expect(await retain(writer, 0, 3_600_000)).toEqual({ versions: 305n, tombstones: 0n });
    expect(await state(writer)).toEqual(before);
    const versions = await harness.reading.listRecordVersions(
      { connectionId, model: 'items', id: 'i0' },
      { metadata: forTenant('acme') },
    );
    expect(versions.versions.map(({ record }) => record?.version)).toEqual([3n]);
    await expect(state(writer, { asOf: early.completeThrough as Date })).rejects.toMatchObject(expired);
    await expect(
      harness.reading.getRecord(
        {
          connectionId,
          model: 'items',
          id: 'i0',
          at: { $case: 'asOf', value: early.completeThrough as Date },
        },
        { metadata: forTenant('acme') },
      ),
    ).rejects.toMatchObject(expired);
    await expect(watchFrom(writer, [early.cursor])).rejects.toMatchObject(expired);
    const after = { $case: 'cursor', value: early.cursor } as const;
    expect(Object.keys(await state(writer, { start: after }))).toHaveLength(300);
    const since = { $case: 'updatedAfter', value: middle.completeThrough as Date } as const;
    expect(await state(writer, { start: since })).toEqual({ i0: 3, i1: 3, i2: 3, i3: 3, i4: 3 });

    expect(await retain(writer, 0, 0)).toEqual({ versions: 0n, tombstones: 10n });
    expect(Object.keys(await state(writer))).toHaveLength(290);
    await expect(state(writer, { start: after })).rejects.toMatchObject(expired);
    await expect(
      state(writer, { start: { $case: 'updatedAfter', value: early.completeThrough as Date } }),
    ).rejects.toMatchObject(expired);
    const uid = (await harness.db.connections.findOne({ name: connectionId }))?._id ?? '';
    expect(await harness.db.commits.countDocuments({ c: uid })).toBe(0);
    expect(await harness.db.versions.countDocuments({ c: uid })).toBe(0);

    // A record that comes back after its tombstone is gone begins anew.
    await writer.full(
      'items',
      'run-4',
      Array.from({ length: 300 }, (_, i) => item(`i${i}`, i < 5 ? 3 : 2)),
    );
    const { records } = await writer.records({
      start: { $case: 'cursor', value: (await writer.records({ limit: 290n })).last.cursor },
    });
    expect(records.map(({ version }) => version)).toEqual(Array.from({ length: 10 }, () => 1n));
  });

  it('leaves the payloads of what is current in packs that lose the rest', async () => {
    const writer = await newWriter();
    await writer.full(
      'items',
      'run-1',
      Array.from({ length: 200 }, (_, i) => item(`i${i}`, 1)),
    );
    await writer.full(
      'items',
      'run-2',
      Array.from({ length: 200 }, (_, i) => item(`i${i}`, i % 2 === 0 ? 1 : 2)),
    );
    const before = await state(writer);
    await Promise.all([retain(writer, 0, 0), retain(writer, 0, 0)]);
    expect(await state(writer)).toEqual(before);
  });
});

describe('a full run after deltas', () => {
  it('reports what they should have brought', async () => {
    const writer = await newWriter();
    const first = await writer.full('items', 'run-1', [item('a', 1), item('b', 1), item('c', 1)]);
    expect(first.discrepancies).toBeUndefined();
    const delta = await writer.begin('items', 'run-2', SyncKind.DELTA);
    await delta.page([item('a', 2)]);
    await delta.finish();
    const second = await writer.full('items', 'run-3', [item('a', 2), item('b', 2), item('d', 1)]);
    expect(second.discrepancies).toEqual({ created: 1n, updated: 1n, deleted: 1n, ids: ['b', 'd', 'c'] });
  });
});
