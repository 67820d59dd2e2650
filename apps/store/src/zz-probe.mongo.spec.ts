import { randomBytes } from 'node:crypto';
import { forTenant } from '@tidemark/rpc';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { startStore, type StoreHarness } from './testing/harness.js';
import { newWriter } from './testing/writers.js';

let harness: StoreHarness;
beforeAll(async () => { harness = await startStore(); });
afterAll(() => harness.stop());
const FIELDS = { m: ['id', 'home.city', 'any'] };
const fp = Buffer.alloc(16, 1);
const reasonOf = (e: unknown) => { const x = e as { reason?: string; message?: string }; return `${x.reason}: ${String(x.message).slice(0, 150)}`; };
async function send(records: object[], more: object = {}, models: Record<string,string[]> = FIELDS, model = 'm') {
  const writer = await newWriter(harness, models);
  const run = await writer.begin(model, 'run-1');
  const answer = await harness.writing.commitPage({ lease: run.lease, pageNumber: 0n, observedSequence: run.observedSequence, records: records as never, checkpoint: Buffer.alloc(0), ...more } as never)
    .then((r) => `OK created ${r.counters?.created} quarantined ${r.counters?.quarantined}`, reasonOf);
  return { writer, run, answer };
}
const rec = (payload: Buffer | string, id = 'a') => ({ id, payload: Buffer.from(payload as string), fingerprint: fp, deleted: false });
const out: string[] = [];
async function reads(writer: Awaited<ReturnType<typeof newWriter>>) {
  const metadata = forTenant('acme'); const connectionId = writer.connectionId;
  const res: string[] = [];
  res.push('stream ' + await writer.records().then((r) => r.records.map((x) => Buffer.from(x.data).toString('latin1').slice(0, 90)).join('|'), reasonOf));
  res.push('fields ' + await writer.records({ fields: ['any'] }).then((r) => r.records.length + '', reasonOf));
  res.push('versions ' + await harness.reading.listRecordVersions({ connectionId, model: 'm', id: 'a' }, { metadata }).then((r) => r.versions.length + '', reasonOf));
  await writer.open({ m: ['id', 'any'] }, 2n);
  res.push('narrow stream ' + await writer.records().then((r) => r.records.map((x) => Buffer.from(x.data).toString('latin1').slice(0, 90)).join('|'), reasonOf));
  res.push('purge ' + await writer.purge().then((r) => JSON.stringify(r?.changedRecords?.toString()), reasonOf));
  return res.join('\n      ');
}
const deep = (n: number) => '{"id":"a","any":' + '['.repeat(n) + ']'.repeat(n) + '}';
const deepHome = (n: number) => '{"home":' + '['.repeat(n) + ']'.repeat(n) + ',"id":"a"}';
const deepObj = (n: number) => '{"id":"a","any":' + '{"a":'.repeat(n) + '1' + '}'.repeat(n) + '}';
const cases: [string, () => Buffer | string][] = [
  ['no json', () => 'nope'], ['empty obj', () => '{}'], ['array', () => '[{"id":"a"}]'], ['empty array', () => '[]'], ['number', () => '7'], ['null', () => 'null'],
  ['white space', () => '{ "id": "a" }'], ['unordered', () => '{"id":"a","any":1}'],
  ['unordered spaces', () => '{"id":"a", "any":1}'],
  ['dup keys hiding', () => '{"home":{"street":"canary"},"home":{"city":"Bonn"},"id":"a"}'],
  ['escaped key', () => '{"\\u0069d":"a"}'],
  ['invalid utf8', () => Buffer.from([...Buffer.from('{"id":"'), 0xff, 0xfe, ...Buffer.from('"}')])],
  ['bom', () => '\ufeff{"id":"a"}'],
  ['depth any 63', () => deep(63)], ['depth any 65', () => deep(65)], ['depth any 10000', () => deep(10_000)], ['depth obj 10000', () => deepObj(10_000)],
  ['depth home 10000', () => deepHome(10_000)], ['depth home 1000000', () => deepHome(1_000_000)],
  ['5 MiB', () => `{"any":"${randomBytes(2_600_000).toString('hex')}","id":"a"}`],
  ['9 MiB', () => `{"any":"${'x'.repeat(9 * 1024 * 1024)}","id":"a"}`],
  ['13 MiB', () => `{"any":"${'x'.repeat(13 * 1024 * 1024)}","id":"a"}`],
  ['17 MB', () => `{"any":"${'x'.repeat(17_000_000)}","id":"a"}`],
];
for (const [name, payload] of cases) it(name, async () => {
  const { writer, answer } = await send([rec(payload())]);
  out.push(`${name}: ${answer}` + (answer.startsWith('OK') ? '\n      ' + await reads(writer) : ''));
});
it('ids and bounds', async () => {
  for (const [name, id] of [['id 1025', 'x'.repeat(1025)], ['id 1MB', 'x'.repeat(1_000_000)]] as const) out.push(`${name}: ${(await send([rec(`{"id":"a"}`, id)])).answer}`);
  out.push(`ids 2000 of 7000: ${(await send(Array.from({ length: 2000 }, (_, i) => rec(`{"id":"a"}`, 'x'.repeat(7000) + i)))).answer}`);
  out.push(`1001 records: ${(await send(Array.from({ length: 1001 }, (_, i) => rec(`{"id":"a"}`, 'x' + i)))).answer}`);
  out.push(`2001 records: ${(await send(Array.from({ length: 2001 }, (_, i) => rec(`{"id":"a"}`, 'x' + i)))).answer}`);
  const rejected = (n: number, message: string, position = 'p', id?: string) => Array.from({ length: n }, (_, i) => ({ position: position + i, reason: 1, message, ...(id === undefined ? {} : { id: id + i }) }));
  out.push(`rejected message 1 MB: ${(await send([rec('{}')], { rejected: rejected(1, 'x'.repeat(1_000_000)) })).answer}`);
  out.push(`rejected position 1 MB: ${(await send([rec('{}')], { rejected: rejected(1, 'x', 'x'.repeat(1_000_000)) })).answer}`);
  out.push(`rejected 1000 x 15kB: ${(await send([rec('{}')], { rejected: rejected(1000, 'x'.repeat(15_000)) })).answer}`);
  out.push(`rejected id empty: ${(await send([rec('{}')], { rejected: [{ id: '', position: '', reason: 1, message: '' }] })).answer}`);
  out.push(`rejected reason 0: ${(await send([rec('{}')], { rejected: [{ position: '', reason: 0, message: '' }] })).answer}`);
  out.push(`checkpoint 65 KiB: ${(await send([rec('{}')], { checkpoint: Buffer.alloc(65 * 1024 + 1) })).answer}`);
  out.push(`page -1: ${(await send([rec('{}')], { pageNumber: -1n })).answer}`);
  out.push(`page 2^62: ${(await send([rec('{}')], { pageNumber: 2n ** 62n })).answer}`);
  out.push(`observed 2^62: ${(await send([rec('{}')], { observedSequence: 2n ** 62n })).answer}`);
  out.push(`observed -1: ${(await send([rec('{}')], { observedSequence: -1n })).answer}`);
  out.push(`fingerprint 15: ${(await send([{ ...rec('{}'), fingerprint: Buffer.alloc(15) }])).answer}`);
  out.push(`deleted with payload out of scope: ${(await send([{ ...rec('{"ssn":1}'), deleted: true }])).answer}`);
  out.push(`id '': ${(await send([rec('{}', '')])).answer}`);
});
it('big history', async () => {
  const writer = await newWriter(harness, FIELDS);
  for (let v = 0; v < 20; v++) await writer.full('m', `run-${v}`, [['a', { id: 'a', any: v + randomBytes(500_000).toString('hex') }]]);
  out.push('versions of 20 x 1 MB: ' + await harness.reading.listRecordVersions({ connectionId: writer.connectionId, model: 'm', id: 'a' }, { metadata: forTenant('acme') }).then((r) => r.versions.length + ' ' + r.nextPageToken, reasonOf));
});
it('models', async () => {
  for (const model of ['__proto__', 'constructor', '$x', 'a.b', 'm\0', 'm\n', 'm;', ' ', 'x'.repeat(1024), 'x'.repeat(100_000), '\ud800'])
    out.push(`model ${JSON.stringify(model).slice(0, 20)} ${model.length}: ${await send([rec('{"id":"a"}')], {}, Object.fromEntries([[model, ['id']]]), model).then(({ answer }) => answer, reasonOf)}`);
});
afterAll(() => { process.stdout.write(out.join('\n') + '\n'); });
