import { randomBytes } from 'node:crypto';
import type { CommitPageRequest } from '@tidemark/contracts';
import { forTenant } from '@tidemark/rpc';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startStore, type StoreHarness, type TestRun, type TestWriter } from './testing/harness.js';
import { newWriter } from './testing/writers.js';

let harness: StoreHarness;

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

const FIELDS = { m: ['id', 'home.city', 'any'] };
const FINGERPRINT = Buffer.alloc(16, 1);
const CANARY = 'canary-8135';
const metadata = forTenant('acme');

type Records = CommitPageRequest['records'];
const record = (payload: string | Buffer, id = 'a'): Records[number] => ({
  id,
  payload: Buffer.from(payload),
  fingerprint: FINGERPRINT,
  deleted: false,
});
const page = (run: TestRun, records: Records, more: Partial<CommitPageRequest> = {}) => {
  const { lease, observedSequence, reading } = run;
  return harness.writing.commitPage({ lease, pageNumber: 0n, observedSequence, reading, records, ...more });
};
async function begin(): Promise<{ writer: TestWriter; run: TestRun }> {
  const writer = await newWriter(harness, FIELDS);
  return { writer, run: await writer.begin('m', 'run-1') };
}
async function expectRefused(records: Records, more: Partial<CommitPageRequest> = {}): Promise<void> {
  const { writer, run } = await begin();
  const failure = await page(run, records, more).catch((error: unknown) => error);
  expect(failure).toMatchObject({
    reason: expect.stringMatching(/^(SOURCE_CONTRACT_BROKEN|SCOPE_VIOLATED|LIMIT_EXCEEDED|REQUEST_INVALID)$/),
  });
  expect((await writer.records()).records).toEqual([]);
}
const nested = (open: string, close: string, levels: number) => open.repeat(levels) + close.repeat(levels);

describe('a payload', () => {
  it('with a key twice does not carry what the first one holds past the scope', async () => {
    await expectRefused([record(`{"home":{"street":"${CANARY}"},"home":{"city":"Bonn"},"id":"a"}`)]);
  });
});

describe('a payload that is not canonical is refused', () => {
  it.each([
    ['keys out of order', '{"id":"a","any":1}'],
    ['a key twice', '{"any":1,"any":2}'],
    ['white space', '{ "any": 1}'],
    ['a key with a needless escape', '{"\\u0061ny":1}'],
    ['a string with a needless escape', '{"any":"\\u0061"}'],
    ['an array', '[{"id":"a"}]'],
    ['an empty array', '[]'],
  ])('%s', async (_, payload) => {
    await expectRefused([record(payload)]);
  });
});

describe('a payload nested deeper than 64 levels is refused', () => {
  it.each([
    ['in a field that is allowed as a whole', `{"any":${nested('[', ']', 65)},"id":"a"}`],
    ['by arrays in a field that is allowed in part', `{"home":${nested('[', ']', 10_000)},"id":"a"}`],
    ['a million levels', `{"home":${nested('[', ']', 1_000_000)},"id":"a"}`],
  ])('%s', async (_, payload) => {
    await expectRefused([record(payload)]);
  });

  it('or else can be read, and purged', async () => {
    const { writer, run } = await begin();
    const answer = await page(run, [record(`{"any":${nested('[', ']', 65)},"id":"a"}`)]).catch(
      () => undefined,
    );
    if (answer === undefined) return;
    await writer.records({ fields: ['any'] });
    await writer.open({ m: ['any'] }, 2n);
    await writer.records();
    await writer.purge();
  });
});

describe('a payload larger than 4 MiB is refused', () => {
  it.each([5, 9])('%d MiB', async (mebibytes) => {
    await expectRefused([record(`{"any":"${'x'.repeat(mebibytes * 1024 * 1024)}"}`)]);
  });
});

describe('a page whose ids, positions or messages are too large is refused', () => {
  const rejected = (message: string, position: string, id?: string) => ({ id, position, reason: 1, message });
  it('an id of 1,025 bytes', () => expectRefused([record('{}', 'x'.repeat(1_025))]));
  it('an id of 1 MB', () => expectRefused([record('{}', 'x'.repeat(1_000_000))]));
  it('a rejected id of 1 MB', () =>
    expectRefused([], { rejected: [rejected('', 'p', 'x'.repeat(1_000_000))] }));
  it('a message of 1 MB', () => expectRefused([], { rejected: [rejected('x'.repeat(1_000_000), 'p')] }));
  it('a position of 1 MB', () => expectRefused([], { rejected: [rejected('', 'x'.repeat(1_000_000))] }));
  it('two thousand ids of 7 kB', () =>
    expectRefused(Array.from({ length: 2_000 }, (_, i) => record('{}', `${'x'.repeat(7_000)}${i}`))));
  it('1,001 records, as its message says', () =>
    expectRefused(Array.from({ length: 1_001 }, (_, i) => record('{}', `x${i}`))));
  it('a page of a negative number', () => expectRefused([record('{}')], { pageNumber: -1n }));
});

describe('the history of a large record', () => {
  it('is listed by default, in as many pages as it takes', async () => {
    const { writer } = await begin();
    for (let version = 0; version < 20; version++)
      await writer.full('m', `run-${version}`, [
        ['a', { any: `${version}${randomBytes(500_000).toString('hex')}` }],
      ]);
    const versions: bigint[] = [];
    for (let pageToken = ''; ;) {
      const at = { connectionId: writer.connectionId, model: 'm', id: 'a', pageToken };
      const answer = await harness.reading.listRecordVersions(at, { metadata });
      versions.push(...answer.versions.map(({ record: one }) => one?.version ?? 0n));
      if ((pageToken = answer.nextPageToken) === '') break;
    }
    expect(versions).toEqual(Array.from({ length: 20 }, (_, i) => BigInt(20 - i)));
  });
});
