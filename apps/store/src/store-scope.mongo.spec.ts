import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Cause, MarkerKind, Operation, WatchStart, type WatchChangesResponse } from '@tidemark/contracts';
import { forTenant } from '@tidemark/rpc';
import { startStore, TestRun, TestWriter, type StoreHarness, type TestRecord } from './testing/harness.js';
import { holdNextWrite } from './testing/held-writes.js';

let harness: StoreHarness;
let connections = 0;

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

const WIDE = { people: ['id', 'name', 'salary', 'tags.code', 'tags.note'] };
const NARROW = { people: ['id', 'name', 'tags.code'] };

const person = (i: number, more: object = {}): TestRecord => [
  `p${i}`,
  { id: `p${i}`, name: `n${i}`, salary: 1_000 + i, tags: [{ code: i, note: `secret-${i}` }], ...more },
];
const people = (count: number): TestRecord[] => Array.from({ length: count }, (_, i) => person(i));

async function newWriter(models: Record<string, string[]> = WIDE): Promise<TestWriter> {
  const writer = new TestWriter(harness, `scoped-${connections++}`);
  await writer.open(models);
  return writer;
}

async function changesOf(writer: TestWriter, forgotten = 0): Promise<WatchChangesResponse[]> {
  const [uid, abort] = [await uidOf(writer), new AbortController()];
  const head = (await harness.db.clocks.findOne({ _id: uid }))?.seq ?? 0;
  const responses: WatchChangesResponse[] = [];
  const request = { connectionIds: [writer.connectionId], start: WatchStart.FROM_OLDEST };
  const options = { metadata: forTenant('acme'), signal: abort.signal };
  let seen = 0;
  for await (const response of harness.reading.watchChanges(request, options)) {
    responses.push(response);
    seen += response.changes.length + (response.marker ? 1 : 0);
    if (seen >= head - forgotten) break;
  }
  return responses;
}

async function uidOf({ connectionId }: TestWriter): Promise<string> {
  return (await harness.db.connections.findOne({ name: connectionId }))?._id ?? '';
}

const data = ({ data: bytes }: { data: Uint8Array }) => Buffer.from(bytes).toString();

describe('a scope that becomes narrower', () => {
  it('is enforced at once, before anything is purged', async () => {
    const writer = await newWriter();
    await writer.full('people', 'run-1', people(3));
    const run = await writer.begin('people', 'run-2');
    expect(await writer.open(NARROW, 2n)).toBe(true);
    const { records } = await writer.records();
    expect(records.map(data)).toEqual(
      [0, 1, 2].map((i) => `{"id":"p${i}","name":"n${i}","tags":[{"code":${i}}]}`),
    );
    expect(
      (await changesOf(writer)).flatMap(({ changes }) => changes).map(({ record }) => record && data(record)),
    ).toEqual(records.map(data));
    await expect(run.page([person(9)])).rejects.toMatchObject({ reason: 'SCOPE_VIOLATED' });
    const full = await writer.begin('people', 'run-3');
    await full.page(records.map((record) => [record.id, data(record)]));
  });

  it('is purged from records and history, with a version of cause SCOPE, a marker and a receipt', async () => {
    const writer = await newWriter();
    await writer.full('people', 'run-1', people(600));
    await writer.full('people', 'run-2', [person(0, { salary: 7 }), ...people(600).slice(1, 599)]);
    await writer.open(NARROW, 2n);
    const receipt = await writer.purge();
    expect(receipt).toMatchObject({
      revision: 2n,
      narrowedModels: ['people'],
      removedModels: [],
      changedRecords: 599n,
      purgedVersions: 2n,
    });
    expect(receipt?.endTime).toBeInstanceOf(Date);
    const { tenantId, connectionId } = writer;
    expect((await harness.writing.listScopeReceipts({ tenantId, connectionId })).receipts).toEqual([receipt]);
    const { versions } = await harness.reading.listRecordVersions(
      { connectionId, model: 'people', id: 'p0' },
      { metadata: forTenant(tenantId) },
    );
    expect(versions.map(({ record, cause, operation }) => [record?.version, cause, operation])).toEqual([
      [3n, Cause.SCOPE, Operation.UPDATED],
      [2n, Cause.FULL, Operation.UPDATED],
      [1n, Cause.FULL, Operation.CREATED],
    ]);
    expect(new Set(versions.map(({ record }) => record && data(record)))).toEqual(
      new Set(['{"id":"p0","name":"n0","tags":[{"code":0}]}']),
    );
    expect(versions[1]?.changedFields).toEqual([]);
    const told = await changesOf(writer);
    expect(told.filter(({ marker }) => marker?.kind === MarkerKind.SCOPE_CHANGED)).toHaveLength(1);
    expect(told.flatMap(({ changes }) => changes).filter(({ cause }) => cause === Cause.SCOPE)).toHaveLength(
      599,
    );
  });

  it('destroys the key of everything sealed before', async () => {
    const writer = await newWriter({ ...WIDE, jobs: ['id'] });
    await writer.full('people', 'run-1', people(3));
    await writer.full('jobs', 'run-1', [['j', { id: 'j' }]]);
    await writer.open({ ...NARROW, jobs: ['id'] }, 2n);
    await writer.purge();
    const uid = await uidOf(writer);
    const connection = await harness.db.connections.findOne({ _id: uid });
    expect(connection?.payloadKeys.map(({ e }) => e)).toEqual([2]);
    expect(await harness.db.packs.distinct('e', { c: uid })).toEqual([2]);
    expect((await writer.records({ models: ['jobs'] })).records.map(data)).toEqual(['{"id":"j"}']);
  });

  it('makes no change of what the next sync reads', async () => {
    const writer = await newWriter();
    await writer.full('people', 'run-1', people(5));
    await writer.open(NARROW, 2n);
    await writer.purge();
    const cut = people(5).map(([id], i): TestRecord => [id, { id, name: `n${i}`, tags: [{ code: i }] }]);
    expect((await writer.full('people', 'run-2', cut)).counters).toMatchObject({
      unchanged: 5n,
      updated: 0n,
      deleted: 0n,
    });
  });

  it('does not make an observation of before stale, nor spare what a snapshot missed', async () => {
    const writer = await newWriter();
    await writer.full('people', 'run-1', people(4));
    await writer.open(NARROW, 2n);
    const run = await writer.begin('people', 'run-2');
    await writer.purge();
    await run.page([
      ['p0', { id: 'p0', name: 'newer' }],
      ['p1', { id: 'p1', name: 'n1' }],
    ]);
    expect((await run.finish()).counters).toMatchObject({ stale: 0n, updated: 2n, deleted: 2n });
  });

  it('removes a model with all that was stored of it, and keeps the log whole', async () => {
    const writer = await newWriter({ ...WIDE, jobs: ['id', 'title'] });
    await writer.full('people', 'run-1', people(3));
    await writer.full('jobs', 'run-1', [
      ['j1', { id: 'j1', title: 'a' }],
      ['j2', { id: 'j2' }],
    ]);
    await writer.full('jobs', 'run-2', [['j1', { id: 'j1', title: 'b' }]]);
    await writer.open({ people: WIDE.people }, 2n);
    await expect(writer.begin('jobs', 'run-3')).rejects.toMatchObject({ reason: 'MODEL_NOT_FOUND' });
    expect(await writer.purge()).toMatchObject({
      removedModels: ['jobs'],
      removedRecords: 2n,
      purgedVersions: 2n,
    });
    const uid = await uidOf(writer);
    for (const { records, versions, packs, models, runs, commits } of [harness.db]) {
      const found = [records, versions, packs, models, runs].map((each) =>
        each.countDocuments({ c: uid, m: 'jobs' }),
      );
      expect(await Promise.all(found)).toEqual([0, 0, 0, 0, 0]);
      expect(await commits.countDocuments({ c: uid, i: /j/ })).toBe(0);
    }
    // Four changes of jobs, and three markers.
    expect((await changesOf(writer, 7)).flatMap(({ changes }) => changes)).toHaveLength(3);
    await expect(writer.records({ models: ['jobs'] })).rejects.toMatchObject({ reason: 'MODEL_NOT_FOUND' });
  });

  it('takes a model back in only once what was stored of it is removed', async () => {
    const writer = await newWriter({ people: ['id'], jobs: ['id', 'title'] });
    await writer.full('jobs', 'run-1', [['j1', { id: 'j1', title: 'a' }]]);
    await writer.open({ people: ['id'] }, 2n);
    await writer.open({ people: ['id'], jobs: ['id', 'title'] }, 3n);
    await expect(writer.begin('jobs', 'run-2')).rejects.toMatchObject({ reason: 'SERVICE_UNAVAILABLE' });
    await writer.purge();
    await writer.full('jobs', 'run-2', [['j9', { id: 'j9', title: 'z' }]]);
    expect(
      (await writer.records({ models: ['jobs'] })).records.map(({ id, version }) => [id, version]),
    ).toEqual([['j9', 1n]]);
  });

  it('is stopped anywhere and goes on, on any process, while others write', async () => {
    const writer = await newWriter();
    await writer.full(
      'people',
      'run-1',
      ...[0, 1, 2, 3, 4].map((page) => people(5_000).slice(page * 1_000, page * 1_000 + 1_000)),
    );
    await writer.open(NARROW, 2n);
    const second = await startStore(harness.database);
    const others = [writer, new TestWriter(second, writer.connectionId)];
    const run = await writer.begin('people', 'run-2');
    const writing = (async () => {
      for (let page = 0; page < 20; page++)
        await run.page([[`p${page * 200}`, { id: `p${page * 200}`, name: 'new' }]]);
    })();
    await Promise.all([...others.map((each) => each.purge()), writing]);
    await second.stop();
    const { records } = await writer.records();
    expect(records.filter((record) => /salary|note/.test(data(record)))).toEqual([]);
    expect(records.filter((record) => data(record).includes('"new"'))).toHaveLength(20);
    const uid = await uidOf(writer);
    expect(await harness.db.packs.distinct('e', { c: uid })).toEqual([2]);
    expect(await harness.db.versions.countDocuments({ c: uid })).toBe(
      Number(records.reduce((sum, { version }) => sum + version, 0n)) - 5_000,
    );
  });
});

describe('a scope that becomes narrower on another process', () => {
  it('refuses a page that was planned before and is written after', async () => {
    const writer = await newWriter();
    await writer.full('people', 'run-1', people(1));
    const second = await startStore(harness.database);
    const run = await writer.begin('people', 'run-2');
    const held = holdNextWrite(() => new TestWriter(second, writer.connectionId).open(NARROW, 2n));
    await expect(run.page(people(3))).rejects.toMatchObject({ reason: 'SCOPE_VIOLATED' });
    expect(held).toHaveBeenCalled();
    held.mockRestore();
    await second.stop();
    await writer.purge();
    expect((await writer.records()).records.map(data)).toEqual([
      '{"id":"p0","name":"n0","tags":[{"code":0}]}',
    ]);
  });
});

describe('a scope that becomes wider', () => {
  it('holds at once for a process that has known the narrow one', async () => {
    const writer = await newWriter(NARROW);
    await writer.full('people', 'run-1', [['p0', { id: 'p0', name: 'n0' }]]);
    const second = await startStore(harness.database);
    const elsewhere = new TestWriter(second, writer.connectionId);
    await elsewhere.open(WIDE, 2n);
    await elsewhere.purge();
    elsewhere.epoch = writer.epoch;
    const { lease, begun } = await elsewhere.begin('people', 'run-2');
    const here = new TestRun(harness, lease, begun);
    await here.page([person(0)]);
    await here.finish();
    await second.stop();
    expect((await writer.records()).records.map(data)).toEqual([expect.stringContaining('"salary":1000')]);
  });
});
