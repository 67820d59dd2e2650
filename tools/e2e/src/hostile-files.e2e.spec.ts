import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { expectDone, until, World } from './world.js';

// Hostile rows from files to readers, through every service: kept to the byte, or in quarantine with a reason, and the
// rest of the file is read.

let world: World;

beforeAll(async () => {
  world = await World.start();
});
afterAll(() => world.stop());

const MILLION = 'x'.repeat(1_000_000);
const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
const KEYS =
  '"":0,"$":{"$ne":null},"$set":{"__proto__":1},"10":2,"9":3,"__proto__":4,"a.b":5,"constructor":6';

/** Records of JSON Lines, each one canonical JSON: kept as it stands. */
const kept = (n: string): readonly (readonly [id: string, text: string])[] => [
  ['keys', `{${KEYS},"id":"keys","n":${n},"nul\\u0000":7}`],
  ['digits', `{"id":"digits","n":${n},"v":[12345678901234567890,1.10,1e400,-0]}`],
  ['surrogates', `{"id":"surrogates","n":${n},"v":"\\ud800 \\udfff\\ud800"}`],
  ['deep', `{"id":"deep","n":${n},"v":${nested(63)}}`],
  ['long', `{"id":"long","n":${n},"v":"${MILLION}"}`],
  ['a:b;c\nd', `{"id":"a:b;c\\nd","n":${n}}`],
  ['__proto__', `{"id":"__proto__","n":${n}}`],
  ['$ne', `{"id":"$ne","n":${n}}`],
  ['€'.repeat(341), `{"id":"${'€'.repeat(341)}","n":${n}}`],
  ['last', `{"id":"last","n":${n}}`],
];

const latin1 = (text: string) => Buffer.from(text, 'latin1');

/** Rows that are no records, and why. */
const REFUSED: readonly (readonly [row: string | Buffer, reason: string])[] = [
  [`{"id":"abyss","v":${nested(10_000)}}`, 'TOO_DEEP'],
  [`{"id":"17 MB","v":"${MILLION.repeat(17)}"}`, 'TOO_LARGE'],
  [`{"id":"5 MB","v":"${MILLION.repeat(5)}"}`, 'TOO_LARGE'],
  [latin1('{"id":"bytes","v":"\xff\xfe"}'), 'ENCODING'],
  ['{"id":"\\ud800"}', 'ENCODING'],
  [`{"id":"${'x'.repeat(1_025)}"}`, 'TOO_LARGE'],
  ['{"id":{"$ne":null}}', 'ID_MISSING'],
];

/** Refused rows stand between the others, so that each is followed by one that has to be read. */
function jsonLines(n: string): Buffer {
  const rows = kept(n).flatMap(([, text], i) => [text, ...(REFUSED[i] ? [REFUSED[i][0]] : [])]);
  return Buffer.concat(rows.flatMap((row) => [Buffer.from(row), Buffer.from('\n')]));
}

const CSV_HEADER = 'id,$set,__proto__,a.b,n,doc\n';
const csvKept = (n: string): readonly (readonly [id: string, text: string])[] => [
  ['keys', `{"$set":"{}","__proto__":"p","a.b":"1","doc":{"$ne":{"__proto__":1}},"id":"keys","n":${n}}`],
  ['digits', `{"$set":"","__proto__":"","a.b":"","doc":12345678901234567890,"id":"digits","n":${n}}`],
  ['a:b;\nc', `{"$set":"","__proto__":"","a.b":"","doc":"\\ud800","id":"a:b;\\nc","n":${n}}`],
  ['last', `{"$set":"","__proto__":"","a.b":"","doc":null,"id":"last","n":${n}}`],
];
const csvRows = (n: string): Buffer =>
  Buffer.concat([
    Buffer.from(`${CSV_HEADER}keys,{},p,1,${n},"{""$ne"":{""__proto__"":1}}"\n`),
    Buffer.from(`abyss,,,,${n},${nested(10_000)}\ndigits,,,,${n},12345678901234567890\n`),
    latin1(`bytes,\xff\xfe,,,${n},1\n`),
    Buffer.from(`"a:b;\nc",,,,${n},"""\\ud800"""\ntype,,,,1e,1\nlast,,,,${n},\n`),
  ]);

/** What stands in the output for the data of each record or version, to the byte. */
async function data(...args: string[]): Promise<string[]> {
  const { stdout } = expectDone(await world.run('records', ...args));
  const pattern = args[0] === 'history' ? /"data":(.*?),"operation":/g : /"data":(.*)\}$/gm;
  return [...stdout.matchAll(pattern)].map(([, text = '']) => text);
}

/** A million characters in the report of a failure help nobody. */
function expectSame(found: readonly string[], expected: readonly string[]): void {
  const brief = (texts: readonly string[]) => texts.map((text) => [text.slice(0, 500), text.length]);
  expect(brief(found)).toEqual(brief(expected));
  expect(found.every((text, i) => text === expected[i])).toBe(true);
}

const texts = (records: readonly (readonly [id: string, text: string])[]) => records.map(([, text]) => text);

it('hostile rows of files are kept to the byte or quarantined, in all that readers see', async () => {
  await world.write('odd.jsonl', jsonLines('1.0'));
  await world.write('grid.csv', csvRows('1.0'));
  const grid = { file: 'grid.csv', columns: { n: 'number', doc: 'json' } };
  const models = { odd: { file: 'odd.jsonl' }, grid };
  const config = { path: world.exports, models };
  await world.connect({ name: 'odd', connector: 'file', config, schedule: { fullInterval: '0s' } });
  expectDone(await world.sync('odd'));
  expectSame(await data('list', 'odd', 'odd'), texts(kept('1.0')));
  expectSame(await data('list', 'odd', 'grid'), texts(csvKept('1.0')));
  const position = expectDone(await world.run('records', 'list', 'odd', 'odd')).objects.at(-1);
  const firstAt = String(position?.['completeThrough']);
  const watch = world.follow('changes', 'watch', 'odd', '--since', String(position?.['cursor']));

  await world.write('odd.jsonl', jsonLines('2.50'));
  await world.write('grid.csv', csvRows('2.50'));
  expectDone(await world.sync('odd'));
  expectSame(await data('list', 'odd', 'odd'), texts(kept('2.50')));
  expectSame(await data('list', 'odd', 'grid'), texts(csvKept('2.50')));
  expectSame(await data('list', 'odd', 'odd', '--as-of', firstAt), texts(kept('1.0')));
  // A process each: some of them tell enough.
  for (const [i, [id, newest]] of [...kept('2.50').entries()].filter(([index]) => index % 3 !== 1)) {
    const [single, history] = await Promise.all([
      data('get', 'odd', 'odd', id),
      data('history', 'odd', 'odd', id),
    ]);
    expectSame(single, [newest]);
    expectSame(history, [newest, kept('1.0')[i]?.[1] ?? '']);
  }
  const updates = () => watch.objects.filter((one) => one['operation'] === 'UPDATED');
  await until(() => updates().length === kept('').length + csvKept('').length);
  const watched = updates().filter((one) => one['model'] === 'odd');
  expect(watched.map((one) => [one['id'], one['changedFields']])).toEqual(
    kept('').map(([id]) => [id, ['n']]),
  );
  await watch.kill();

  const quarantine = expectDone(await world.run('quarantine', 'list', 'odd')).objects[0]?.['records'] as {
    model: string;
    reason: string;
    message: string;
  }[];
  const reasons = (model: string) =>
    quarantine
      .filter((one) => one.model === model)
      .map(({ reason }) => reason)
      .sort();
  expect(reasons('odd')).toEqual(REFUSED.map(([, reason]) => reason).sort());
  expect(reasons('grid')).toEqual(['ENCODING', 'TOO_DEEP', 'TYPE_MISMATCH']);
  expect(JSON.stringify(quarantine)).not.toMatch(/\[\[\[|xxxxxxxxxx"/);

  const scope = join(world.folder, 'scope.json');
  await writeFile(
    scope,
    JSON.stringify({ odd: ['id', 'n', '__proto__', 'a\\.b'], grid: ['id', 'n', '$set'] }),
  );
  expectDone(await world.run('scope', 'set', 'odd', '-f', scope, '--wait'));
  const cut = kept('2.50').map(([id]) =>
    id === 'keys' ? '{"__proto__":4,"a.b":5,"id":"keys","n":2.50}' : `{"id":${JSON.stringify(id)},"n":2.50}`,
  );
  const found = await data('list', 'odd', 'odd');
  expect(found).toHaveLength(cut.length);
  expect(found).toEqual(expect.arrayContaining(cut));
  expectSame(await data('get', 'odd', 'grid', 'keys'), ['{"$set":"{}","id":"keys","n":2.50}']);
}, 240_000);
