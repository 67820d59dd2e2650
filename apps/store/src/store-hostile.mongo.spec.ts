import { WatchStart, type Record as RecordMessage } from '@tidemark/contracts';
import { forTenant } from '@tidemark/rpc';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { follow } from './testing/follow.js';
import { startStore, type StoreHarness, type TestWriter } from './testing/harness.js';
import { HOSTILE_FIELDS, hostileRecords, type HostileRecord } from './testing/hostile-records.js';
import { newWriter, uidOf } from './testing/writers.js';

// What means something elsewhere is data here: stored, and given back to the byte.

let harness: StoreHarness;

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

const CUT = { odd: [...HOSTILE_FIELDS, 'version'] };
const WIDE = { odd: [...CUT.odd, 'gone'] };
const metadata = forTenant('acme');

/** A connection with every hostile record in two versions, and the time of the first. */
interface Mirror {
  readonly writer: TestWriter;
  readonly records: readonly HostileRecord[];
  readonly firstAt: Date;
}

async function mirror(): Promise<Mirror> {
  const writer = await newWriter(harness, WIDE);
  const uid = await uidOf(writer);
  const records = hostileRecords([`${uid}:odd:a:b`, `${uid}:odd;`, `${uid}:other:1`]);
  await writer.full(
    'odd',
    'run-1',
    records.map(({ id, first }) => [id, first]),
  );
  const firstAt = (await writer.records()).last.completeThrough as Date;
  const end = await writer.full(
    'odd',
    'run-2',
    records.map(({ id, second }) => [id, second]),
  );
  expect(end.counters).toMatchObject({ updated: BigInt(records.length), quarantined: 0n });
  return { writer, records, firstAt };
}

type Texts = readonly (readonly [id: string, text: string])[];

const read = (records: readonly RecordMessage[]): Texts =>
  records.map(({ id, data }) => [id, Buffer.from(data).toString()]);

/** A million characters in the report of a failure help nobody. */
function expectTexts(found: Texts, expected: Texts): void {
  const brief = (texts: Texts) =>
    texts.map(([id, text]) => [id.slice(0, 60), text.slice(0, 2_000), text.length]);
  expect(brief(found)).toEqual(brief(expected));
  expect(found.every(([id, text], i) => id === expected[i]?.[0] && text === expected[i]?.[1])).toBe(true);
}

async function expectCurrent({ writer }: Mirror, expected: Texts): Promise<void> {
  const { records } = await writer.records();
  expectTexts(read(records), expected);
  const single = expected.map(async ([id]) => {
    const { record } = await harness.reading.getRecord(
      { connectionId: writer.connectionId, model: 'odd', id },
      { metadata },
    );
    return record as RecordMessage;
  });
  expectTexts(read(await Promise.all(single)), expected);
}

async function expectHistory(
  { writer, firstAt }: Mirror,
  first: Texts,
  newestFirst: (id: string) => string[],
): Promise<void> {
  const { connectionId } = writer;
  for (const [id] of first) {
    const { versions } = await harness.reading.listRecordVersions(
      { connectionId, model: 'odd', id },
      { metadata },
    );
    const texts = versions.map(({ record }) => [id, Buffer.from(record?.data ?? '').toString()] as const);
    expectTexts(
      texts,
      newestFirst(id).map((text) => [id, text]),
    );
    const at = { $case: 'asOf', value: firstAt } as const;
    const { record } = await harness.reading.getRecord({ connectionId, model: 'odd', id, at }, { metadata });
    expectTexts(
      read([record as RecordMessage]),
      first.filter((one) => one[0] === id),
    );
  }
  expectTexts(read((await writer.records({ asOf: firstAt })).records), first);
}

async function expectWatched({ writer }: Mirror, expected: Texts): Promise<void> {
  const watch = follow(harness, { connectionIds: [writer.connectionId], start: WatchStart.FROM_OLDEST });
  await watch.until(() => watch.changes().length >= expected.length);
  await watch.stop();
  expectTexts(read(watch.changes().map(({ record }) => record as RecordMessage)), expected);
}

describe('records with hostile ids, fields and values', () => {
  it('are given back to the byte by streams, single reads, history, reads as of a time and watches', async () => {
    const made = await mirror();
    const first = made.records.map(({ id, first: text }) => [id, text] as const);
    const second = made.records.map(({ id, second: text }) => [id, text] as const);
    await expectCurrent(made, second);
    const byId = new Map(made.records.map((record) => [record.id, record]));
    await expectHistory(made, first, (id) => [byId.get(id)?.second ?? '', byId.get(id)?.first ?? '']);
    await expectWatched(made, [...first, ...second]);
    const again = await made.writer.full(
      'odd',
      'run-3',
      made.records.map(({ id, second: text }) => [id, text]),
    );
    expect(again.counters).toMatchObject({
      unchanged: BigInt(made.records.length),
      updated: 0n,
      deleted: 0n,
    });
  });

  it('are that, less what left the scope, before, during and after its purge', async () => {
    const made = await mirror();
    const texts = (version: 'first' | 'second') =>
      made.records.map(({ id, cut }) => [id, cut[version]] as const);
    const byId = new Map(made.records.map(({ id, cut }) => [id, cut]));
    await made.writer.open(CUT, 2n);
    await expectCurrent(made, texts('second'));
    await expectHistory(made, texts('first'), (id) => [
      byId.get(id)?.second ?? '',
      byId.get(id)?.first ?? '',
    ]);
    await expectWatched(made, [...texts('first'), ...texts('second')]);
    const receipt = await made.writer.purge();
    expect(receipt).toMatchObject({ narrowedModels: ['odd'], changedRecords: BigInt(made.records.length) });
    await expectCurrent(made, texts('second'));
    const newestFirst = (id: string) => [
      byId.get(id)?.second ?? '',
      byId.get(id)?.second ?? '',
      byId.get(id)?.first ?? '',
    ];
    await expectHistory(made, texts('first'), newestFirst);
    await expectWatched(made, [...texts('first'), ...texts('second'), ...texts('second')]);
  });

  it('are that after retention has removed their history, and their tombstones in the end', async () => {
    const made = await mirror();
    const second = made.records.map(({ id, second: text }) => [id, text] as const);
    const past = await startStore(harness.database, { retention: { historyMs: -1, tombstoneMs: -1 } });
    const { tenantId, connectionId } = made.writer;
    const retain = async () => {
      while (!(await past.writing.applyRetention({ tenantId, connectionId })).done);
    };
    try {
      await retain();
      await expectCurrent(made, second);
      await made.writer.full('odd', 'run-3', second.slice(0, 20));
      const deleted = (await made.writer.records()).records.filter(
        ({ deletedAt }) => deletedAt !== undefined,
      );
      expect(new Set(deleted.map(({ id }) => id))).toEqual(new Set(second.slice(20).map(([id]) => id)));
      await retain();
      await expectCurrent(made, second.slice(0, 20));
    } finally {
      await past.stop();
    }
  });
});
