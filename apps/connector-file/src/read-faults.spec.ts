import { rename, rm, appendFile, writeFile, truncate } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SyncKind } from '@tidemark/contracts';
import { FileSource } from './testing/file-source.js';

let source: FileSource;
beforeEach(async () => (source = await FileSource.start()));
afterEach(() => source.stop());

const people = { models: { people: { file: 'people.csv' } } };
const json = (id: string, name: string): [string, string] => [id, JSON.stringify({ id, name })];

/** Rows enough that the file is not read in one chunk. */
function manyRows(count: number): string {
  return Array.from({ length: count }, (_, i) => `${i},name ${i},${'x'.repeat(200)}\n`).join('');
}

describe('a whole file', () => {
  it('gives its records, its end as evidence, and no failure', async () => {
    const content = 'id,name,ssn\n1,Ada,123-45-6789\n2,"Grace ""H"", PhD",x\n3,"two\nlines",y\n';
    await source.write('people.csv', content);
    const { records, rejected, end, pages } = await source.read(people, 'people');
    expect(records).toEqual([json('1', 'Ada'), json('2', 'Grace "H", PhD'), json('3', 'two\nlines')]);
    expect(rejected).toEqual([]);
    expect(end).toMatchObject({
      endEvidence: `end of people.csv at byte ${content.length}, 3 rows`,
      failures: [],
    });
    expect(pages.map((page) => page.records.length)).toEqual([2, 1]);
  });

  it('is empty with a header alone, and not a CSV file without one', async () => {
    await source.write('people.csv', 'id,name\n');
    expect((await source.read(people, 'people')).end).toMatchObject({ failures: [] });
    await source.write('people.csv', '');
    await expect(source.read(people, 'people')).rejects.toMatchObject({ reason: 'SOURCE_CONTRACT_BROKEN' });
  });

  it('is read without a byte order mark, with \\r\\n, and without blank lines', async () => {
    await source.write('people.csv', '\uFEFFid,name\r\n1,"a\r\nb"\r\n\r\n2,B\r\nx\r\n');
    const { records, rejected, end } = await source.read(people, 'people');
    expect(records).toEqual([json('1', 'a\r\nb'), json('2', 'B')]);
    expect(rejected).toEqual(['MALFORMED people.csv:6']);
    expect(end?.failures).toEqual([
      'the id of 1 rejected entry could not be read, so it is unknown which record it was',
    ]);
    await source.write('people.jsonl', '\uFEFF{"id":"1","name":"A"}\r\n\r\n{"id":"2","name":"B"}\r\n');
    expect(await source.read({}, 'people').catch((error: unknown) => error)).toMatchObject({
      reason: 'SOURCE_CONFIG_INVALID',
    });
    await rm(`${source.folder}/people.csv`);
    expect((await source.read({}, 'people')).records).toEqual([json('1', 'A'), json('2', 'B')]);
  });
});

describe('a truncated file', () => {
  it.each([
    ['csv', 'id,name\n1,Ada\n2,Gr', 'people.csv:3'],
    ['jsonl', '{"id":"1","name":"Ada"}\n{"id":"2","name":"Grace"}', 'people.jsonl:2'],
    ['json', '[{"id":"1","name":"Ada"},{"id":"2","na', 'people.json[1]'],
  ])('never makes a record of the row cut short (%s)', async (extension, content, position) => {
    await source.write(`people.${extension}`, content);
    const { records, rejected, end } = await source.read({}, 'people');
    expect(records).toEqual([json('1', 'Ada')]);
    expect(rejected).toEqual([`TRUNCATED ${position}`]);
    expect(end?.endEvidence).toBe('');
    expect(end?.failures[0]).toMatch(/cut short/);
  });

  it.each(['csv', 'jsonl'])(
    'is a whole one where its source never ends the last row (%s)',
    async (format) => {
      const content =
        format === 'csv' ? 'id,name\n1,Ada\n2,Grace' : '{"id":"1","name":"Ada"}\n{"id":"2","name":"Grace"}';
      await source.write('data', content);
      const models = { people: { file: 'data', format, finalNewline: 'optional' } };
      const { records, end } = await source.read({ models }, 'people');
      expect(records).toEqual([json('1', 'Ada'), json('2', 'Grace')]);
      expect(end).toMatchObject({ failures: [] });
      expect(end?.endEvidence).toMatch(/^end of data at byte \d+, 2 rows$/);
    },
  );

  it('is noticed at every byte that it may be cut at', async () => {
    const whole = 'id,name\n1,"A\nb"\n2,é\n3,"C"\n';
    const bytes = Buffer.from(whole);
    const complete: number[] = [];
    for (let length = 8; length < bytes.length; length++) {
      await source.write('people.csv', bytes.subarray(0, length));
      const { records, end } = await source.read(people, 'people');
      const all = [json('1', 'A\nb'), json('2', 'é'), json('3', 'C')];
      expect(all.slice(0, records.length)).toEqual(records);
      if (end?.failures.length === 0) complete.push(length);
    }
    // Only where a row ends: that is what a count file is for.
    expect(complete).toEqual([8, 16, 21]);
  });

  it('that is compressed is noticed at every byte', async () => {
    const bytes = gzipSync('{"id":"1","name":"Ada"}\n{"id":"2","name":"Grace"}\n');
    for (let length = 0; length < bytes.length; length++) {
      await source.write('people.jsonl.gz', bytes.subarray(0, length));
      const { end } = await source.read({}, 'people');
      expect(end?.endEvidence).toBe('');
      expect(end?.failures[0]).toMatch(/cut short|damaged/);
    }
    await source.write('people.jsonl.gz', Buffer.concat([bytes, bytes.subarray(1)]));
    expect((await source.read({}, 'people')).end?.failures[0]).toMatch(/damaged/);
    await source.write('people.jsonl.gz', Buffer.concat([bytes, gzipSync('{"id":"3","name":"C"}\n')]));
    const { records, end } = await source.read({}, 'people');
    expect([records.length, end?.failures]).toEqual([3, []]);
  });

  it('is noticed by its count file', async () => {
    await source.write('people.csv', 'id,name\n1,Ada\n');
    await source.write('people.count', '2\n');
    const config = { models: { people: { file: 'people.csv', countFile: 'people.count' } } };
    const { end, pages } = await source.read(config, 'people');
    expect(end).toMatchObject({
      expectedRecords: 2n,
      failures: ['people.count promises 2 rows, there are 1'],
    });
    expect(pages[0]?.expectedRecords).toBe(2n);
  });
});

describe('a malformed row', () => {
  it('is rejected with its line, and reading goes on', async () => {
    await source.write('people.csv', 'id,name\n1,Ada\n2\n3,"x"y\n4,Ed"gar\n5,Eve\n6,F,G\n');
    const { records, rejected, end } = await source.read(people, 'people');
    expect(records).toEqual([json('1', 'Ada')]);
    expect(rejected).toEqual(['MALFORMED people.csv:3', 'TRUNCATED people.csv:4']);
    expect(end?.failures).toHaveLength(2);
  });

  it('costs no other row where its quotes come in pairs', async () => {
    await source.write('people.csv', 'id,name\n1,Ada\n2,"x"y"\n4,Ed"gar"\n5,Eve\n');
    const { records, rejected } = await source.read(people, 'people');
    expect(records).toEqual([json('1', 'Ada'), json('5', 'Eve')]);
    expect(rejected.length).toBeGreaterThan(0);
  });

  it('with a quote that is never closed ends the read with failures', async () => {
    await source.write('people.csv', 'id,name\n1,Ada\n2,"Gr\n3,C\n');
    const { records, rejected, end } = await source.read(people, 'people');
    expect(records).toEqual([json('1', 'Ada')]);
    expect(rejected).toEqual(['TRUNCATED people.csv:3']);
    expect(end).toMatchObject({ endEvidence: '' });
    expect(end?.failures[0]).toBe('people.csv ends within quotes: a quote is not closed');
  });

  it('with a quote that swallows more than the bound stops the read', async () => {
    await source.write('people.csv', `id,name\n1,Ada\n2,"Gr\n${'3,C\n'.repeat(4_500_000)}`);
    const { records, rejected, end } = await source.read(people, 'people');
    expect(records).toEqual([json('1', 'Ada')]);
    expect(rejected).toEqual(['TOO_LARGE people.csv:3']);
    expect(end?.failures[0]).toMatch(/^reading people.csv stopped at line 3/);
  });

  it('of JSON Lines is rejected, whatever is wrong with it', async () => {
    const deep = `{"id":"5","name":${'['.repeat(70)}${']'.repeat(70)}}`;
    const long = `{"id":"6","name":"${'x'.repeat(17 * 1024 * 1024)}"}`;
    const large = `{"id":"7","name":"${'x'.repeat(5 * 1024 * 1024)}"}`;
    const rows = [
      '{"id":"1"',
      '[1]',
      '{"name":"no id"}',
      '{"id":null}',
      deep,
      long,
      large,
      '{"id":"8","name":"H"}',
      '',
    ];
    await source.write('people.jsonl', rows.join('\n'));
    const { records, rejected, end } = await source.read({}, 'people');
    expect(records).toEqual([json('8', 'H')]);
    expect(rejected).toEqual([
      'MALFORMED people.jsonl:1',
      'ID_MISSING people.jsonl:2',
      'ID_MISSING people.jsonl:3',
      'ID_MISSING people.jsonl:4',
      'TOO_DEEP people.jsonl:5 (5)',
      'TOO_LARGE people.jsonl:6',
      'TOO_LARGE people.jsonl:7 (7)',
    ]);
    expect(end?.failures).toEqual([
      'the ids of 5 rejected entries could not be read, so it is unknown which records they were',
    ]);
  });

  it('that is not UTF-8 is rejected, with its id where that is intact', async () => {
    const latin1 = (text: string) => Buffer.from(text, 'latin1');
    const csv = [
      Buffer.from('id,name\n1,Zoë �\n'),
      latin1('2,Zoë\n'),
      latin1('ë,x\n3,"Zo\në"\n'),
      Buffer.from('4,Ω\n'),
    ];
    await source.write('people.csv', Buffer.concat(csv));
    const expected = [json('1', 'Zoë �'), json('4', 'Ω')];
    let result = await source.read(people, 'people');
    expect(result.records).toEqual(expected);
    expect(result.rejected).toEqual([
      'ENCODING people.csv:3 (2)',
      'ENCODING people.csv:4',
      'ENCODING people.csv:5 (3)',
    ]);
    const lines = [
      Buffer.from('{"id":"1","name":"Zoë �"}\n'),
      latin1('{"id":"2","name":"Zoë"}\n{"id":"ë"}\n'),
      Buffer.from('{"id":"4","name":"Ω"}\n'),
    ];
    await source.write('lines.jsonl', Buffer.concat(lines));
    result = await source.read({}, 'lines');
    expect(result.records).toEqual(expected);
    expect(result.rejected).toEqual(['ENCODING lines.jsonl:2 (2)', 'ENCODING lines.jsonl:3']);
    await source.write('array.json', Buffer.concat([Buffer.from('['), latin1('{"id":"ë"}]')]));
    result = await source.read({}, 'array');
    expect([result.records, result.rejected]).toEqual([[], ['ENCODING array.json[0]']]);
  });

  it('of a JSON array ends the read there, for what follows cannot be told apart', async () => {
    await source.write('people.json', '[{"id":"1","name":"A"},{"id":"2","name":B},{"id":"3","name":"C"}]');
    const { records, rejected, end } = await source.read({}, 'people');
    expect(records).toEqual([json('1', 'A')]);
    expect(rejected).toEqual(['MALFORMED people.json[1]']);
    expect(end?.failures[0]).toMatch(/^reading people.json stopped at record 1/);
  });

  it('never has its content in a rejection', async () => {
    await source.write('people.csv', 'id,name,pay\n1,Ada,4711secret\n,Grace,1\n"secret"x,,\n');
    const models = { people: { file: 'people.csv', columns: { pay: 'number' } } };
    const { pages, end } = await source.read({ models }, 'people', { fields: ['pay'] });
    const messages = pages.flatMap((page) => page.rejected.map((rejected) => rejected.message));
    expect(messages).toHaveLength(3);
    expect([...messages, ...(end?.failures ?? [])].join()).not.toContain('secret');
  });
});

describe('a duplicate key', () => {
  it('is passed on for the store to judge, in order', async () => {
    await source.write('people.csv', 'id,name\n1,Ada\n1,Grace\n1,Ada\n');
    const { records } = await source.read(people, 'people');
    expect(records).toEqual([json('1', 'Ada'), json('1', 'Grace'), json('1', 'Ada')]);
  });
});

describe('a missing column', () => {
  it.each([
    ['the primary key', 'name,age\nAda,1\n', ['name'], '"id"'],
    ['a field of the scope', 'id,age\n1,2\n', ['id', 'name'], '"name"'],
  ])('breaks the contract (%s)', async (_, content, fields, named) => {
    await source.write('people.csv', content);
    await expect(source.read(people, 'people', { fields })).rejects.toMatchObject({
      reason: 'SOURCE_CONTRACT_BROKEN',
      message: `people.csv has no column ${named} in its header, which the scope or primary key names`,
    });
  });

  it('or one that comes twice breaks it too', async () => {
    await source.write('people.csv', 'id,name,name\n1,A,B\n');
    await expect(source.read(people, 'people')).rejects.toMatchObject({ reason: 'SOURCE_CONTRACT_BROKEN' });
  });
});

describe('a file that does not stay as it is', () => {
  const bigRows = 20_000;
  const readAndDo = async (action: (path: string) => Promise<void>) => {
    const path = await source.write('people.csv', `id,name,pad\n${manyRows(bigRows)}`);
    let pages = 0;
    return source.read(people, 'people', {
      pageRecords: 500,
      onPage: async () => (pages++ === 0 ? action(path) : undefined),
    });
  };

  it.each([
    ['deleted', (path: string) => rm(path), /^people.csv was deleted while it was read$/],
    ['grown', (path: string) => appendFile(path, 'x,y,z\n'), /^people.csv was changed while it was read$/],
    [
      'cut',
      (path: string) => truncate(path, 1_000_000),
      /^people.csv (was changed|became shorter) while it was read$/,
    ],
    [
      'replaced',
      async (path: string) => {
        await writeFile(`${path}.new`, `id,name,pad\n${manyRows(bigRows)}`);
        await rename(`${path}.new`, path);
      },
      /^people.csv was changed while it was read$/,
    ],
  ])('(%s) gives no complete snapshot', async (_, action, failure) => {
    const { end } = await readAndDo(action);
    expect(end?.endEvidence).toBe('');
    expect(end?.failures.some((each) => failure.test(each))).toBe(true);
  });

  it('(another one matches) gives no complete snapshot', async () => {
    await source.write('p-1.csv', 'id,name\n1,A\n2,B\n3,C\n');
    await source.write('p-2.csv', 'id,name\n4,D\n');
    const config = { models: { people: { file: 'p-*.csv' } } };
    const add = async () => void (await source.write('p-0.csv', 'id,name\n0,Z\n'));
    const first = await source.read(config, 'people');
    expect([first.records.length, first.end?.failures]).toEqual([4, []]);
    expect(first.end?.endEvidence).toBe(
      'end of 2 files, 4 rows; the last: end of p-2.csv at byte 12, 1 rows',
    );
    // Big enough that the second page is not sent before the first was taken.
    await source.write('p-2.csv', `id,name,pad\n${manyRows(bigRows)}`);
    let pages = 0;
    const { end } = await source.read(config, 'people', {
      pageRecords: 500,
      onPage: () => (pages++ === 0 ? add() : undefined),
    });
    expect(end?.failures).toEqual(['the files were changed while they were read']);
  });
});

describe('a model that is not there', () => {
  it.each([
    [{ models: { people: { file: 'people.csv' } } }, 'people', 'SOURCE_GONE'],
    [{ models: { people: { file: 'people-*.csv' } } }, 'people', 'SOURCE_GONE'],
    [{}, 'people', 'SOURCE_GONE'],
    [{ models: {} }, 'people', 'MODEL_NOT_FOUND'],
    [{ path: 'nowhere' }, 'people', 'SOURCE_CONFIG_INVALID'],
    [{ models: { people: { file: 'notes.txt' } } }, 'people', 'SOURCE_CONFIG_INVALID'],
  ])('%j %s is %s', async (config, model, reason) => {
    await source.write('notes.txt', 'x\n');
    await expect(source.read(config, model)).rejects.toMatchObject({ reason });
  });

  it('cannot be read as a delta', async () => {
    await source.write('people.csv', 'id,name\n1,A\n');
    await expect(source.read(people, 'people', { kind: SyncKind.DELTA })).rejects.toMatchObject({
      reason: 'FEATURE_UNSUPPORTED',
    });
  });
});
