import { SyncKind, type WatchChangesResponse } from '@tidemark/contracts';
import { forTenant } from '@tidemark/rpc';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startStore, TestWriter, type StoreHarness, type TestRecord } from './testing/harness.js';

let harness: StoreHarness;
let names = 0;
const FIELDS = { employees: ['id', 'name', 'level', 'work.city'] };

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

async function newWriter(models: Record<string, string[]> = FIELDS): Promise<TestWriter> {
  const writer = new TestWriter(harness, `connection-${names++}`);
  await writer.open(models);
  return writer;
}

const employee = (id: string, level = 1): TestRecord => [id, { id, name: `n-${id}`, level }];
const many = (count: number, level = 1): TestRecord[] =>
  Array.from({ length: count }, (_, i) => employee(`e${String(i).padStart(5, '0')}`, level));
const brief = (records: { id: string; version: bigint; deletedAt?: Date | undefined }[]) =>
  records.map(({ id, version, deletedAt }) => `${id} v${version}${deletedAt ? ' deleted' : ''}`);

/** All that is stored but for markers: what they tell of is no change. */
async function dump(): Promise<unknown> {
  const { records, versions, packs, commits, clocks } = harness.db;
  const stored = await Promise.all(
    [records, versions, packs, commits].map((collection) =>
      collection
        .find({ mark: { $exists: false } } as never)
        .sort({ _id: 1 })
        .toArray(),
    ),
  );
  const changes = await clocks
    .find({}, { projection: { changes: 1 } })
    .sort({ _id: 1 })
    .toArray();
  return [...stored, changes];
}

describe('commits', () => {
  it('give records versions, sequences and one time a commit', async () => {
    const writer = await newWriter();
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
    const writer = await newWriter();
    await writer.full('employees', 'run-1', [employee('a'), employee('b')]);
    const before = await dump();
    const end = await writer.full('employees', 'run-2', [employee('b'), employee('a')]);
    expect(end.counters).toMatchObject({ read: 2n, unchanged: 2n, created: 0n, updated: 0n, deleted: 0n });
    expect(await dump()).toEqual(before);
  });

  it('ask for the payloads of changed records alone, and commit nothing until they come', async () => {
    const writer = await newWriter();
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
    const writer = await newWriter();
    const run = await writer.begin('employees', 'run-1');
    await run.page([employee('a')]);
    const again = await harness.writing.commitPage(run.message([employee('a')], 0n));
    expect(again.counters).toMatchObject({ pages: 1n, read: 1n, created: 1n });
    await expect(harness.writing.commitPage(run.message([employee('b')], 2n))).rejects.toMatchObject({
      reason: 'PAGE_OUT_OF_ORDER',
    });
  });

  it('resolve the same page sent twice at once to one commit', async () => {
    const writer = await newWriter();
    const run = await writer.begin('employees', 'run-1');
    const message = run.message(many(50));
    const answers = await Promise.all([1, 2, 3].map(() => harness.writing.commitPage(message)));
    expect(answers.map(({ counters }) => counters?.created)).toEqual([50n, 50n, 50n]);
    expect(brief((await writer.records()).records)).toHaveLength(50);
  });

  it('refuse a writer whose lease was taken over, and keep what it had committed', async () => {
    const writer = await newWriter();
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
    const writer = await newWriter();
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
    const writer = await newWriter({ odd: ['id', 'n', '$set', 'a\\.b', '__proto__', ''] });
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
    const writer = await newWriter({ employees: ['id', 'name', 'level'], jobs: ['id', 'name', 'level'] });
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

describe('snapshots', () => {
  it('delete what a certified one did not hold, with a tombstone, and restore what comes back', async () => {
    const writer = await newWriter();
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
    const writer = await newWriter();
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
    const writer = await newWriter();
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
    const writer = await newWriter();
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
    const writer = await newWriter();
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
    const writer = await newWriter();
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
    const writer = await newWriter();
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
    const writer = await newWriter();
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

describe('reads', () => {
  it('by updated_after give exactly what changed since, tombstones included, whatever the watermark used', async () => {
    const writer = await newWriter();
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
    const writer = await newWriter();
    const read = (ms: number) =>
      writer.records({ start: { $case: 'updatedAfter', value: new Date(Date.now() + ms) } });
    await expect(read(3_600_000)).rejects.toMatchObject({ reason: 'REQUEST_INVALID' });
    expect((await read(1_000)).records).toEqual([]);
  });

  it('cut by a limit give a cursor and a watermark that lose nothing', async () => {
    const writer = await newWriter();
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
    const writer = await newWriter();
    await writer.full('employees', 'run-1', [employee('a')]);
    const { cursor } = (await writer.records()).last;
    const other = await newWriter();
    const read = (by: TestWriter, value: string) => by.records({ start: { $case: 'cursor', value } });
    await expect(read(other, cursor)).rejects.toMatchObject({ reason: 'CURSOR_INVALID' });
    await expect(read(writer, `${cursor.slice(0, -2)}AA`)).rejects.toMatchObject({
      reason: 'CURSOR_INVALID',
    });
    await expect(read(writer, `${cursor}=`)).rejects.toMatchObject({ reason: 'CURSOR_INVALID' });
    await expect(read(writer, 'x'.repeat(5000))).rejects.toMatchObject({ reason: 'CURSOR_INVALID' });
    await expect(read(writer, '')).rejects.toMatchObject({ reason: 'CURSOR_INVALID' });
    await removeAll(writer);
    await writer.open(FIELDS);
    await expect(read(writer, cursor)).rejects.toMatchObject({ reason: 'MUST_RESYNC' });
  });

  it('cut payloads to the fields asked for and refuse fields outside the scope', async () => {
    const writer = await newWriter();
    await writer.full('employees', 'run-1', [['a', { id: 'a', level: 1, work: { city: 'Bonn' } }]]);
    const { records } = await writer.records({ fields: ['work.city'] });
    expect(Buffer.from(records[0]?.data ?? '').toString()).toBe('{"work":{"city":"Bonn"}}');
    await expect(writer.records({ fields: ['ssn'] })).rejects.toMatchObject({
      reason: 'FIELD_UNKNOWN',
      violations: [{ field: 'fields' }],
    });
    await expect(writer.records({ models: ['jobs'] })).rejects.toMatchObject({ reason: 'MODEL_NOT_FOUND' });
    await expect(writer.records({ filter: { level: '1' } })).rejects.toMatchObject({
      reason: 'FILTER_UNSUPPORTED',
    });
  });

  it("look the same for another tenant's connection as for none", async () => {
    const writer = await newWriter();
    await writer.full('employees', 'run-1', [employee('a')]);
    const foreign = new TestWriter(harness, writer.connectionId, 'rival');
    const none = new TestWriter(harness, 'no-such', 'rival');
    const failure = await foreign.records().catch((error: unknown) => error);
    expect(failure).toMatchObject({ reason: 'CONNECTION_NOT_FOUND' });
    expect(await none.records().catch((error: unknown) => error)).toEqual(failure);
  });

  it('of history give a record as of a time or version, and its versions', async () => {
    const writer = await newWriter();
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

async function removeAll(writer: TestWriter): Promise<void> {
  for (;;) {
    const { done } = await harness.writing.removeConnection({
      tenantId: writer.tenantId,
      connectionId: writer.connectionId,
    });
    if (done) return;
  }
}

/** Collects a watch's responses in the background. */
function follow(request: Parameters<StoreHarness['reading']['watchChanges']>[0]) {
  const abort = new AbortController();
  const responses: WatchChangesResponse[] = [];
  const ended = (async () => {
    const stream = harness.reading.watchChanges(request, {
      metadata: forTenant('acme'),
      signal: abort.signal,
    });
    for await (const response of stream) responses.push(response);
  })().catch((error: unknown) => error);
  const changes = () => responses.flatMap((response) => response.changes);
  return {
    responses,
    changes,
    ended,
    until: async (done: () => boolean) => {
      while (!done()) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    stop: async () => {
      abort.abort();
      return ended;
    },
  };
}

describe('watches', () => {
  it('replay from the oldest, follow live, and resume from a cursor without gap or repeat', async () => {
    const writer = await newWriter();
    const connectionIds = [writer.connectionId];
    await writer.full('employees', 'run-1', many(1_000), [employee('x'), employee('y')]);
    const watch = follow({ connectionIds, start: 2 });
    await watch.until(() => watch.changes().length >= 1_002);
    await writer.full('employees', 'run-2', many(1_000, 2), [employee('x')]);
    await watch.until(() => watch.changes().length >= 2_003);
    await watch.stop();
    // Two sequences are those of markers: the first snapshot and the end of its sync.
    const sequences = Array.from({ length: 2_005 }, (_, i) => i + 1).filter(
      (s) => s !== 1_003 && s !== 1_004,
    );
    expect(watch.changes().map(({ record }) => Number(record?.sequence))).toEqual(sequences);
    expect(watch.changes().at(-1)).toMatchObject({
      operation: 3,
      cause: 1,
      runId: 'run-2',
      record: { id: 'y', version: 2n },
    });
    expect(watch.changes()[1_500]).toMatchObject({ operation: 2, changedFields: ['level'] });
    const middle = watch.responses.find(({ changes }) => changes.length > 0) as WatchChangesResponse;
    const resumed = follow({ connectionIds, cursors: [middle.cursor] });
    await resumed.until(() => resumed.changes().length >= 2_003 - middle.changes.length);
    await resumed.stop();
    expect(resumed.changes()).toEqual(watch.changes().slice(middle.changes.length));
  });

  it('begin with a cursor from now, and tell of the first snapshot and of finished syncs', async () => {
    const writer = await newWriter();
    await writer.full('employees', 'run-0', [employee('before')]);
    const watch = follow({ connectionIds: [writer.connectionId] });
    await watch.until(() => watch.responses.length > 0);
    expect(watch.responses[0]).toMatchObject({
      changes: [],
      completeThrough: expect.any(Date),
      cursor: expect.stringMatching(/./),
    });
    await writer.full('employees', 'run-1', [employee('before'), employee('after')]);
    await watch.until(() => watch.responses.some(({ marker }) => marker?.runId === 'run-1'));
    expect(watch.changes().map(({ record }) => record?.id)).toEqual(['after']);
    expect(
      watch.responses.filter(({ marker }) => marker?.runId === 'run-1').map(({ marker }) => marker?.kind),
    ).toEqual([2]);
    await watch.stop();
  });

  it('are refused when no connection watched has a model asked for', async () => {
    const writer = await newWriter();
    const watch = follow({ connectionIds: [writer.connectionId], models: ['employees', 'jobs'] });
    expect(await watch.ended).toMatchObject({ reason: 'MODEL_NOT_FOUND' });
  });

  it("follow all of the tenant's connections, those made later included, and only the models asked for", async () => {
    const watch = follow({ models: ['jobs'] });
    await watch.until(() => watch.responses.length > 0);
    const writer = await newWriter({ employees: ['id', 'name', 'level'], jobs: ['id', 'name', 'level'] });
    await writer.full('employees', 'run-1', [employee('a')]);
    await writer.full('jobs', 'run-2', [employee('b')]);
    await watch.until(() => watch.changes().length > 0);
    await watch.stop();
    expect(watch.changes().map(({ record }) => [record?.connectionId, record?.model, record?.id])).toEqual([
      [writer.connectionId, 'jobs', 'b'],
    ]);
  });

  it('end with a typed error for a foreign cursor and when the connection is removed', async () => {
    const [writer, other] = [await newWriter(), await newWriter()];
    const { cursor } = (await writer.records()).last;
    await expect(
      follow({ connectionIds: [other.connectionId], cursors: [cursor] }).ended,
    ).resolves.toMatchObject({ reason: 'CURSOR_INVALID' });
    const watch = follow({ connectionIds: [writer.connectionId] });
    await watch.until(() => watch.responses.length > 0);
    await removeAll(writer);
    await expect(watch.ended).resolves.toMatchObject({ reason: 'CONNECTION_NOT_FOUND' });
  });
});

describe('connections', () => {
  it('widen their scope', async () => {
    const writer = await newWriter();
    await writer.open({ employees: [...FIELDS.employees, 'phone'] }, 2n);
    await writer.full('employees', 'run-1', [['a', { id: 'a', phone: '1' }]]);
  });

  it('leave nothing behind when removed', async () => {
    const writer = await newWriter();
    await writer.full('employees', 'run-1', many(600));
    await writer.full('employees', 'run-2', many(600, 2));
    const { generation: uid } = await harness.writing.openConnection({
      tenantId: 'acme',
      connectionId: writer.connectionId,
      scope: { revision: 1n, models: [] },
    });
    const run = await writer.begin('employees', 'run-3');
    await removeAll(writer);
    await expect(run.page([employee('late')])).rejects.toMatchObject({ reason: 'CONNECTION_NOT_FOUND' });
    for (const collection of await harness.database.db.collections()) {
      expect(await collection.countDocuments({ $or: [{ c: uid }, { _id: uid as never }] })).toBe(0);
    }
  });
});
