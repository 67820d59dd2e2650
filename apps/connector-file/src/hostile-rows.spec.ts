import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { defaultScope, validateScope, type CatalogueModel } from '@tidemark/model';
import { FileSource } from './testing/file-source.js';

// Rows that a source would not send in good faith: each is kept to the byte or rejected with a reason, and the next one follows.

let source: FileSource;
beforeEach(async () => (source = await FileSource.start()));
afterEach(() => source.stop());

/** The models that discovery finds, as a scope is made of them. */
async function catalogue(config: object = {}): Promise<CatalogueModel[]> {
  const { models } = await source.handlers.discover({ settings: source.settings(config) }, source.context);
  return models.map(({ jsonSchema, ...model }) => ({
    ...model,
    schema: JSON.parse(Buffer.from(jsonSchema).toString()) as unknown,
  }));
}

/** The fields of a model that may be stored when nobody says which. */
async function fieldsOf(model: string, config: object = {}): Promise<string[]> {
  const found = await catalogue(config);
  const scope = defaultScope(found);
  expect(validateScope(scope, found)).toEqual(scope);
  return [...(scope.find((entry) => entry.model === model)?.fields ?? [])];
}

const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
const MILLION = 'x'.repeat(1_000_000);

/** Rows of JSON Lines, and what comes of them: the record's canonical JSON, or the reason why there is none. */
const LINES: readonly [row: string | Buffer, outcome: string][] = [
  [
    '{"id":"keys","":1,"$":2,"$set":{"$inc":3},"a.b":4,"__proto__":{"x":5},"constructor":6,"nul\\u0000":7}',
    '{"":1,"$":2,"$set":{"$inc":3},"__proto__":{"x":5},"a.b":4,"constructor":6,"id":"keys","nul\\u0000":7}',
  ],
  ['{"id":"order","n":1,"10":1,"9":2}', '{"10":1,"9":2,"id":"order","n":1}'],
  ['{"id":"digits","n":12345678901234567890}', '{"id":"digits","n":12345678901234567890}'],
  ['{"id":"decimal","n":1.10}', '{"id":"decimal","n":1.10}'],
  ['{"id":"huge","n":1e400}', '{"id":"huge","n":1e400}'],
  ['{"id":"zero","n":-0}', '{"id":"zero","n":-0}'],
  ['{"id":"surrogate","t":"\\ud800 \\udc00\\ud800"}', '{"id":"surrogate","t":"\\ud800 \\udc00\\ud800"}'],
  ['{"id":"twice","n":1,"n":2}', '{"id":"twice","n":2}'],
  [`{"id":"long","t":"${MILLION}"}`, `{"id":"long","t":"${MILLION}"}`],
  ['{"id":"\\u0000;:\\n","n":1}', '{"id":"\\u0000;:\\n","n":1}'],
  [`{"id":"${'€'.repeat(341)}x","n":1}`, `{"id":"${'€'.repeat(341)}x","n":1}`],
  [`{"id":"deep","list":${nested(63)}}`, `{"id":"deep","list":${nested(63)}}`],
  [`{"id":"too deep","list":${nested(64)}}`, 'TOO_DEEP (too deep)'],
  [`{"id":"abyss","list":${nested(10_000)}}`, 'TOO_DEEP (abyss)'],
  [
    `{"id":"abyss of objects","list":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`,
    'TOO_DEEP (abyss of objects)',
  ],
  [`{"id":"abyss and digits","n":1.10,"list":${nested(10_000)}}`, 'TOO_DEEP'],
  [`{"id":"${'x'.repeat(1_025)}"}`, 'TOO_LARGE'],
  ['{"id":"\\ud800"}', 'ENCODING'],
  [Buffer.from('{"id":"bytes","t":"\xff\xfe"}', 'latin1'), 'ENCODING (bytes)'],
  [Buffer.from('{"id":"half a surrogate","t":"\xed\xa0\x80"}', 'latin1'), 'ENCODING (half a surrogate)'],
  ['{"id":{"$ne":null}}', 'ID_MISSING'],
  ['{"id":[1]}', 'ID_MISSING'],
  ['{"__proto__":{"id":"inherited"}}', 'ID_MISSING'],
  [`{"id":"large","t":"${MILLION.repeat(5)}"}`, 'TOO_LARGE (large)'],
  [`{"id":"17 MB","t":"${MILLION.repeat(17)}"}`, 'TOO_LARGE'],
  ['{"id":"last","n":1}', '{"id":"last","n":1}'],
];

describe('hostile rows', () => {
  it('of JSON Lines are kept to the byte or rejected with a reason, within the scope that discovery gives', async () => {
    await source.write(
      'odd.jsonl',
      Buffer.concat(LINES.flatMap(([row]) => [Buffer.from(row), Buffer.from('\n')])),
    );
    const fields = await fieldsOf('odd');
    expect(fields).toEqual(
      expect.arrayContaining([
        '',
        '$',
        '$set.$inc',
        'a\\.b',
        '__proto__.x',
        'constructor',
        'nul\0',
        '10',
        '9',
      ]),
    );
    const { records, rejected, end } = await source.read({}, 'odd', { fields, pageRecords: 1_000 });
    const kept = LINES.filter(([, outcome]) => outcome.startsWith('{')).map(([, outcome]) => outcome);
    expect(records.map(([, text]) => text.slice(0, 200))).toEqual(kept.map((text) => text.slice(0, 200)));
    expect(
      records.every(([id, text], i) => text === kept[i] && id === (JSON.parse(text) as { id: string }).id),
    ).toBe(true);
    const reasons = LINES.flatMap(([, outcome], i) =>
      outcome.startsWith('{') ? [] : [outcome.replace(/^(\w+)/, `$1 odd.jsonl:${i + 1}`)],
    );
    expect(rejected).toEqual(reasons);
    expect(end?.endEvidence).not.toBe('');
  });

  it('of CSV are that, too', async () => {
    const header = 'id,$set,__proto__,a.b,constructor,n,doc';
    const lines: [string, string][] = [
      [
        'keys,{},p,1,c,1.10,"{""$ne"":{""__proto__"":1}}"',
        '{"$set":"{}","__proto__":"p","a.b":"1","constructor":"c","doc":{"$ne":{"__proto__":1}},"id":"keys","n":1.10}',
      ],
      [
        'digits,,,,,12345678901234567890,-0',
        '{"$set":"","__proto__":"","a.b":"","constructor":"","doc":-0,"id":"digits","n":12345678901234567890}',
      ],
      [
        'huge,,,,,1e400,1e400',
        '{"$set":"","__proto__":"","a.b":"","constructor":"","doc":1e400,"id":"huge","n":1e400}',
      ],
      [
        '"a:;\n\0b",,,,,1,"""\\ud800"""',
        '{"$set":"","__proto__":"","a.b":"","constructor":"","doc":"\\ud800","id":"a:;\\n\\u0000b","n":1}',
      ],
      [
        `long,${MILLION.slice(0, 200_000)},,,,1,1`,
        `{"$set":"${MILLION.slice(0, 200_000)}","__proto__":"","a.b":"","constructor":"","doc":1,"id":"long","n":1}`,
      ],
      [`abyss,,,,,1,${nested(10_000)}`, 'TOO_DEEP odd.csv:8 (abyss)'],
      [`${'x'.repeat(1_025)},,,,,1,1`, 'TOO_LARGE odd.csv:9'],
      ['bad number,,,,,1e,1', 'TYPE_MISMATCH odd.csv:10 (bad number)'],
      ['bad document,,,,,1,"{""a"":"', 'TYPE_MISMATCH odd.csv:11 (bad document)'],
      [`large,${MILLION.repeat(5)},,,,1,1`, 'TOO_LARGE odd.csv:12 (large)'],
      ['last,,,,,1,1', '{"$set":"","__proto__":"","a.b":"","constructor":"","doc":1,"id":"last","n":1}'],
    ];
    await source.write('odd.csv', `${header}\n${lines.map(([row]) => `${row}\n`).join('')}`);
    const config = { models: { odd: { file: 'odd.csv', columns: { n: 'number', doc: 'json' } } } };
    const fields = await fieldsOf('odd', config);
    const { records, rejected } = await source.read(config, 'odd', { fields, pageRecords: 1_000 });
    const outcomes = lines.map(([, outcome]) => outcome);
    expect(records.map(([, text]) => text)).toEqual(outcomes.filter((outcome) => outcome.startsWith('{')));
    expect(rejected).toEqual(outcomes.filter((outcome) => !outcome.startsWith('{')));
  });
});

describe('a field that no scope can name', () => {
  it.each([
    ['because its name is too long', `"${'k'.repeat(513)}"`],
    ['because its names are too long together', `"${'k'.repeat(300)}":{"${'l'.repeat(300)}":1},"x"`],
    ['because its name is no Unicode', '"\\ud800"'],
  ])('%s is left out, and the others are read', async (_, name) => {
    await source.write('odd.jsonl', `{"id":"1","name":"A"}\n{"id":"2",${name}:1,"name":"B"}\n`);
    const fields = await fieldsOf('odd');
    const { records, rejected } = await source.read({}, 'odd', { fields });
    expect(records.map(([id]) => id)).toEqual(['1', '2']);
    expect(records[1]?.[1]).toMatch(/"name":"B"/);
    expect(records[1]?.[1]).not.toMatch(/ud800|kkk|lll/);
    expect(rejected).toEqual([]);
    const [model] = (await source.handlers.discover({ settings: source.settings({}) }, source.context))
      .models;
    expect(model?.warnings).toEqual([expect.stringContaining('no scope can name')]);
  });
});
