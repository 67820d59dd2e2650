import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { canonicalJson, parseJson } from '@tidemark/model';
import fc from 'fast-check';
import { FileSource } from './testing/file-source.js';

let source: FileSource;
beforeEach(async () => (source = await FileSource.start()));
afterEach(() => source.stop());

const RECORD =
  '{"":"e","$set":{"a.b":[]},"__proto__":{"x":1},"a.b":12345678901234567890,"id":"1","n":1.10,"u":"\\u0000\\ud83d\\ude00"}';
const FIELDS = ['', '$set', '__proto__', 'a\\.b', 'id', 'n', 'u'];
const canonical = canonicalJson(parseJson(RECORD)).text;

describe('what the source sent', () => {
  it.each([
    ['jsonl', `${RECORD}\n`],
    ['json', `[${RECORD}]`],
  ])('is kept with its digits and keys (%s)', async (extension, content) => {
    await source.write(`m.${extension}`, content);
    const { records } = await source.read({}, 'm', { fields: FIELDS });
    expect(records).toEqual([['1', canonical]]);
    expect(records[0]?.[1]).toContain('"n":1.10');
  });

  it('is kept with its digits and keys (csv)', async () => {
    const rows = [
      '"",$set,__proto__,a.b,id,n,on,note',
      'e,"{""a.b"":1.10}",p,12345678901234567890,007,1.10,TRUE,"1.10"',
      'x,,,,8,,,',
    ];
    await source.write('m.csv', `${rows.join('\n')}\n`);
    const columns = { $set: 'json', 'a.b': 'integer', n: 'number', on: 'boolean' };
    const fields = [...FIELDS.slice(0, -1), 'on', 'note'];
    const { records } = await source.read({ models: { m: { file: 'm.csv', columns } } }, 'm', { fields });
    expect(records.map(([, text]) => text)).toEqual([
      '{"":"e","$set":{"a.b":1.10},"__proto__":"p","a.b":12345678901234567890,"id":"007","n":1.10,"note":"1.10","on":true}',
      '{"":"x","$set":null,"__proto__":"","a.b":null,"id":"8","n":null,"note":"","on":null}',
    ]);
  });

  it('is kept but for what the scope leaves out, also below a path', async () => {
    await source.write('m.jsonl', '{"id":1,"work":{"city":"Bonn","desk":7},"ssn":"x"}\n');
    expect((await source.read({}, 'm', { fields: ['work.city'] })).records).toEqual([
      ['1', '{"work":{"city":"Bonn"}}'],
    ]);
  });

  it('must have its declared type', async () => {
    const cells = ['1.5', '+1', '0x1', '1e3', ' 1', '01', '1', ''];
    await source.write('m.csv', `id,n\n${cells.map((cell, i) => `${i},${cell}\n`).join('')}`);
    const models = { m: { file: 'm.csv', columns: { n: 'integer' } } };
    const { records, rejected, end } = await source.read({ models }, 'm', { fields: ['n'] });
    expect(records).toEqual([
      ['6', '{"n":1}'],
      ['7', '{"n":null}'],
    ]);
    expect(rejected).toEqual(cells.slice(0, 6).map((_, i) => `TYPE_MISMATCH m.csv:${i + 2} (${i})`));
    // Each of them is known by its id, so nothing is missing.
    expect(end).toMatchObject({ failures: [] });
    // A column out of scope is not even looked at.
    expect((await source.read({ models }, 'm', { fields: ['id'] })).rejected).toEqual([]);
  });

  it('makes an id of several fields', async () => {
    await source.write('m.csv', 'a,b,name\n1,"x""y",N\n');
    const models = { m: { file: 'm.csv', primaryKey: ['b', 'a'] } };
    expect((await source.read({ models }, 'm', { fields: ['name'] })).records).toEqual([
      ['["x\\"y","1"]', '{"name":"N"}'],
    ]);
  });

  it('comes back from CSV however it is quoted', async () => {
    const cell = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r\n', ' ', 'é', '😀', ';') });
    const rows = fc.array(fc.tuple(cell, cell, fc.boolean()), { maxLength: 20 });
    const end = fc.constantFrom('\n', '\r\n');
    const property = fc.asyncProperty(rows, end, async (cells, lineEnd) => {
      const quote = (text: string, always: boolean) =>
        always || /["\n\r;]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
      const text = cells.map(([a, b, always], i) => `${i};${quote(a, always)};${quote(b, always)}${lineEnd}`);
      await source.write('m.csv', `id;a;b${lineEnd}${text.join('')}`);
      const models = { m: { file: 'm.csv', delimiter: ';' } };
      const {
        records,
        rejected,
        end: { failures } = { failures: ['none'] },
      } = await source.read({ models }, 'm', { fields: ['a', 'b'] });
      expect(records).toEqual(cells.map(([a, b], i) => [String(i), JSON.stringify({ a, b })]));
      expect([rejected, failures]).toEqual([[], []]);
    });
    await fc.assert(property, { numRuns: 60 });
  });

  it('comes back from a JSON array whatever it holds', async () => {
    const records = fc.array(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })), { maxLength: 8 });
    const property = fc.asyncProperty(records, fc.nat(3), async (values, indent) => {
      const given = values.map((value, id) => ({ ...value, id }));
      await source.write(
        'm.json',
        JSON.stringify({ '': [1, { items: [] }], items: { x: given } }, null, indent),
      );
      const models = { m: { file: 'm.json', recordsAt: 'items.x' } };
      const fields = [...new Set(given.flatMap((value) => Object.keys(value)))].map((name) =>
        name.replace(/[\\.]/g, '\\$&'),
      );
      const read = await source.read({ models }, 'm', { fields });
      expect(read.records).toEqual(
        given.map((value) => [String(value.id), canonicalJson(parseJson(JSON.stringify(value))).text]),
      );
      expect(read.end?.failures).toEqual([]);
    });
    await fc.assert(property, { numRuns: 60 });
  });
});

describe('a JSON document', () => {
  it.each([
    ['{"a":1}', undefined],
    ['7', undefined],
    ['{"data":{"item":[]}}', 'data.items'],
    ['{"data":{"items":7}}', 'data.items'],
    ['{"data":{"items":{}}}', 'data.items'],
    ['{"data":[{"items":[]}]}', 'data.items'],
    ['{"other":{"data":{"items":[]}}}', 'data.items'],
    ['{"data":{"items":[],"items":[]}}', 'data.items'],
  ])('%s has no array of records at %s', async (content, recordsAt) => {
    await source.write('m.json', content);
    const models = { m: { file: 'm.json', recordsAt } };
    await expect(source.read({ models }, 'm')).rejects.toMatchObject({ reason: 'SOURCE_CONTRACT_BROKEN' });
    await rm(`${source.folder}/m.json`);
  });
});
