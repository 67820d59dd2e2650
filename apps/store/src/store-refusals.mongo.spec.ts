import { randomBytes } from 'node:crypto';
import type { CommitPageRequest } from '@tidemark/contracts';
import { forTenant } from '@tidemark/rpc';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startStore, type StoreHarness, type TestRun, type TestWriter } from './testing/harness.js';
import { newWriter } from './testing/writers.js';

// What the store refuses of a faulty connector. Nothing of a refused page is stored, and the run goes on with a good one.

let harness: StoreHarness;

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

const FIELDS = { m: ['id', 'home.city', 'any'] };
const FINGERPRINT = Buffer.alloc(16, 1);
const CANARY = 'canary-8135';

type Records = CommitPageRequest['records'];

function record(payload: string | Buffer, id = 'a'): Records[number] {
  return { id, payload: Buffer.from(payload), fingerprint: FINGERPRINT, deleted: false };
}

function page(run: TestRun, records: Records, more: Partial<CommitPageRequest> = {}) {
  const { lease, observedSequence, reading } = run;
  return harness.writing.commitPage({ lease, pageNumber: 0n, observedSequence, reading, records, ...more });
}

async function expectRefused(
  { writer, run }: { writer: TestWriter; run: TestRun },
  reason: string,
  records: Records,
  more: Partial<CommitPageRequest> = {},
): Promise<void> {
  const failure = await page(run, [record('{"id":"good"}', 'good'), ...records], more).catch(
    (error: unknown) => error,
  );
  expect(failure).toMatchObject({ reason });
  expect(String(failure)).not.toContain(CANARY);
  expect((await writer.records()).records).toEqual([]);
  expect(await page(run, [record('{"id":"good"}', 'good')])).toMatchObject({ counters: { created: 1n } });
}

async function begin(): Promise<{ writer: TestWriter; run: TestRun }> {
  const writer = await newWriter(harness, FIELDS);
  return { writer, run: await writer.begin('m', 'run-1') };
}

describe('a payload', () => {
  it.each([
    ['is no JSON', CANARY],
    ['is cut off', `{"any":"${CANARY}`],
    ['has something after it', `{"any":1}${CANARY}`],
    ['has a number that is none', `{"any":01,"id":"${CANARY}"}`],
    ['begins with a byte order mark', `\ufeff{"any":"${CANARY}"}`],
    ['is not UTF-8', Buffer.from(`{"any":"${CANARY}\xff\xfe"}`, 'latin1')],
    ['is UTF-8 of a surrogate', Buffer.from(`{"any":"${CANARY}\xed\xa0\x80"}`, 'latin1')],
  ])('that %s is refused without being quoted', async (_, payload) => {
    await expectRefused(await begin(), 'SOURCE_CONTRACT_BROKEN', [record(payload)]);
  });

  it.each([
    ['a field', `{"id":"a","ssn":"${CANARY}"}`],
    ['a field below one that is allowed in part', `{"home":{"city":"Bonn","street":"${CANARY}"}}`],
    ['a field in an array', `{"home":[{"city":"Bonn"},{"street":"${CANARY}"}]}`],
    ['a text where only fields are allowed', `{"home":"${CANARY}"}`],
    ['a text among objects', `{"home":[{"city":"Bonn"},"${CANARY}"]}`],
    ['a field spelt with an escape', `{"\\u0073sn":"${CANARY}"}`],
    ['__proto__', `{"__proto__":{"any":"${CANARY}"}}`],
    ['constructor', `{"constructor":"${CANARY}"}`],
    ['an empty name', `{"":"${CANARY}"}`],
    ['a name like a path', `{"home.city":"${CANARY}"}`],
    ['no fields at all', `"${CANARY}"`],
  ])('with %s out of scope is refused without being quoted', async (_, payload) => {
    await expectRefused(await begin(), 'SCOPE_VIOLATED', [record(payload)]);
  });

  it('of a record said to be deleted is looked at, too', async () => {
    const deleted = { ...record(`{"ssn":"${CANARY}"}`), deleted: true };
    await expectRefused(await begin(), 'SCOPE_VIOLATED', [deleted]);
  });
});

describe('a page', () => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => record('{}', `r${i}`));

  const refused: [string, string, () => ReturnType<typeof many>, Partial<CommitPageRequest>][] = [
    ['of too many records', 'LIMIT_EXCEEDED', () => many(2_001), {}],
    ['of too many bytes', 'LIMIT_EXCEEDED', () => [record(`{"any":"${'x'.repeat(12 * 1024 * 1024)}"}`)], {}],
    [
      'larger than a message may be',
      'LIMIT_EXCEEDED',
      () => [record(`{"any":"${'x'.repeat(17_000_000)}"}`)],
      {},
    ],
    [
      'with a checkpoint beyond 64 KiB',
      'LIMIT_EXCEEDED',
      () => [],
      { checkpoint: Buffer.alloc(64 * 1024 + 1) },
    ],
    ['with a record without an id', 'SOURCE_CONTRACT_BROKEN', () => [record('{}', '')], {}],
    [
      'with a fingerprint cut off',
      'SOURCE_CONTRACT_BROKEN',
      () => [{ ...record('{}'), fingerprint: Buffer.alloc(15) }],
      {},
    ],
    [
      'with a rejection without a reason',
      'REQUEST_INVALID',
      () => [],
      { rejected: [{ id: undefined, position: 'p', reason: 0, message: '' }] },
    ],
    ['out of order', 'PAGE_OUT_OF_ORDER', () => [], { pageNumber: 2n ** 62n }],
  ];

  it.each(refused)('%s is refused', async (_, reason, records, more) => {
    await expectRefused(await begin(), reason, [...records()], more);
  });

  it('at its bounds is taken: a thousand records, twelve kilobytes each, of the longest ids', async () => {
    const { writer, run } = await begin();
    const id = (i: number) => `${String(i).padStart(4, '0')}${'€'.repeat(340)}`;
    const payload = () => `{"any":"${randomBytes(6_000).toString('hex')}"}`;
    const records = Array.from({ length: 1_000 }, (_, i) => record(payload(), id(i)));
    expect(await page(run, records)).toMatchObject({ counters: { created: 1_000n } });
    const stored = (await writer.records()).records;
    expect(stored.map((one) => one.id)).toEqual(records.map((one) => one.id));
    expect(
      stored.every(({ data }, i) => Buffer.compare(data, records[i]?.payload ?? Buffer.alloc(0)) === 0),
    ).toBe(true);
  });
});

describe('quarantine', () => {
  it('lists each rejected record once, whatever its id or position, page by page', async () => {
    const { writer, run } = await begin();
    const ids = ['', 'a:b', '@p', '=a', '\0', '\n', '__proto__', '$ne', '\u{10ffff}', 'x'.repeat(1_024)];
    const rejected = [
      ...ids.map((id) => ({ id, position: `p${id}`, reason: 4, message: 'no number' })),
      ...ids.map((position) => ({ id: undefined, position, reason: 1, message: 'malformed' })),
    ];
    await page(run, [record('{}')], { rejected });
    await page(run, [], { rejected, pageNumber: 1n });
    const found: unknown[] = [];
    for (let pageToken = ''; ;) {
      const request = { connectionId: writer.connectionId, pageSize: 3, pageToken };
      const answer = await harness.reading.listQuarantine(request, { metadata: forTenant(writer.tenantId) });
      found.push(
        ...answer.records.map(({ id, position, reason, message }) => ({ id, position, reason, message })),
      );
      if ((pageToken = answer.nextPageToken) === '') break;
    }
    expect(found).toHaveLength(rejected.length);
    expect(found).toEqual(expect.arrayContaining(rejected));
  });
});
