import { appendFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FileSource } from './testing/file-source.js';

let source: FileSource;
beforeEach(async () => (source = await FileSource.start()));
afterEach(() => source.stop());

const csv = (from: number, to: number) =>
  `\uFEFFid,name\n${range(from, to)
    .map((i) => (i % 4 === 0 ? `${i}\n\n` : `${i},"n\r\n""${i}"",é"\r\n`))
    .join('')}`;
const lines = (from: number, to: number) =>
  range(from, to)
    .map((i) => (i % 4 === 0 ? '{"id":\n\n' : `{"id":${i},"name":"né ${i}"}\n`))
    .join('');
const array = (from: number, to: number) =>
  `{"data":{"items":[${range(from, to)
    .map((i) => (i % 4 === 0 ? '{"name":1}' : `{"id":${i},"name":"é ${i}"}`))
    .join(',')}],"n":[1]}}`;

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

const formats = [
  ['csv', csv, {}],
  ['jsonl', lines, {}],
  ['json', array, { recordsAt: 'data.items' }],
] as const;

describe.each(formats)('a %s read', (extension, content, extra) => {
  it.each([
    ['plain', extension, (text: string) => text],
    ['compressed', `${extension}.gz`, gzipSync],
  ])('resumes from each of its checkpoints with the same records (%s)', async (_, ending, encode) => {
    await source.write(`a.${ending}`, encode(content(1, 12)));
    await source.write(`b.${ending}`, encode(content(12, 13)));
    await source.write(`c.${ending}`, encode(content(13, 20)));
    const config = { models: { all: { file: `*.${ending}`, ...extra } } };
    const whole = await source.read(config, 'all', { pageRecords: 1 });
    expect(whole.records.map(([id]) => id)).toEqual(
      range(1, 20)
        .filter((i) => i % 4 !== 0)
        .map(String),
    );
    expect(whole.rejected).toHaveLength(4);
    for (const [index, page] of whole.pages.entries()) {
      const rest = await source.read(config, 'all', { pageRecords: 3, checkpoint: page.checkpoint });
      const before = whole.pages.slice(0, index + 1);
      const records = before.reduce((count, each) => count + each.records.length, 0);
      const rejected = before.reduce((count, each) => count + each.rejected.length, 0);
      expect(rest.records).toEqual(whole.records.slice(records));
      expect(rest.rejected).toEqual(whole.rejected.slice(rejected));
      expect(rest.end?.failures).toEqual(whole.end?.failures);
    }
  });
});

describe('a resumed read', () => {
  const config = { models: { people: { file: '*.csv' } } };

  it('remembers what was wrong with files before the checkpoint', async () => {
    const compressed = gzipSync('id,name\n1,A\n2,B\n');
    // Cut within the checksum: not one row is missing, and yet nobody can know that.
    await source.write('a.csv.gz', compressed.subarray(0, -4));
    await source.write('b.csv', 'id,name\n3,C\n4,D\n');
    const models = { people: { file: '*.csv*' } };
    const whole = await source.read({ models }, 'people', { pageRecords: 1 });
    const rest = await source.read({ models }, 'people', {
      checkpoint: whole.pages.at(-2)?.checkpoint ?? Buffer.alloc(0),
    });
    expect(rest.records.map(([id]) => id)).toEqual(['4']);
    expect(rest.end?.failures).toEqual(['a.csv.gz is cut short: its gzip data ends too early']);
    expect(whole.end?.failures).toEqual(rest.end?.failures);
  });

  it('still knows of a last row without a line end', async () => {
    await source.write('a.csv', 'id,name\n1,A\n2,B');
    const whole = await source.read(config, 'people', { pageRecords: 1 });
    const rest = await source.read(config, 'people', {
      checkpoint: whole.pages.at(-1)?.checkpoint ?? Buffer.alloc(0),
    });
    expect(rest.records).toEqual([]);
    expect(rest.end?.failures[0]).toMatch(/^a.csv does not end with a line end/);
  });

  it.each([
    ['a file was changed', async () => appendFile(`${source.folder}/a.csv`, '9,Z\n'), {}],
    ['another file matches', async () => void (await source.write('0.csv', 'id,name\n')), {}],
    ['the scope was changed', async () => undefined, { fields: ['id'] }],
  ])('starts over when %s', async (_, action, options) => {
    await source.write('a.csv', 'id,name\n1,A\n2,B\n3,C\n');
    const whole = await source.read(config, 'people', { pageRecords: 1 });
    await action();
    const checkpoint = whole.pages[0]?.checkpoint ?? Buffer.alloc(0);
    await expect(source.read(config, 'people', { checkpoint, ...options })).rejects.toMatchObject({
      reason: 'SOURCE_CHANGED',
    });
  });

  it('starts over when the settings were changed, and refuses what is no checkpoint', async () => {
    await source.write('a.csv', 'id,name\n1,A\n2,B\n3,C\n');
    const { pages } = await source.read(config, 'people', { pageRecords: 1 });
    const checkpoint = pages[0]?.checkpoint ?? Buffer.alloc(0);
    const changed = { models: { people: { file: '*.csv', primaryKey: ['name'] } } };
    await expect(source.read(changed, 'people', { checkpoint })).rejects.toMatchObject({
      reason: 'SOURCE_CHANGED',
    });
    const forged = Buffer.from('{');
    await expect(source.read(config, 'people', { checkpoint: forged })).rejects.toMatchObject({
      reason: 'REQUEST_INVALID',
    });
  });
});
