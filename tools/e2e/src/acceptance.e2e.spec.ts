import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { expectDone, ROOT, until, World, type CommandResult } from './world.js';

// What a newcomer does with the sample, in order.

let world: World;
let since: string;

beforeAll(async () => {
  world = await World.start();
  execFileSync(process.execPath, [join(ROOT, 'examples/acme-hr/generate.mjs'), world.exports]);
  const connection = join(world.folder, 'connection.yaml');
  execFileSync('cp', [join(ROOT, 'examples/acme-hr/connection.yaml'), connection]);
  expectDone(await world.run('connections', 'create', '-f', connection));
  expectDone(await world.sync('acme-hr'));
});
afterAll(() => world.stop());

const records = (result: CommandResult) => expectDone(result).objects.slice(0, -1);
const brief = (objects: Record<string, unknown>[]) =>
  objects
    .map(
      ({ id, version, deletedAt }) =>
        `${String(id)} v${String(version)}${deletedAt === undefined ? '' : ' deleted'}`,
    )
    .sort();
const csv = () => readFileSync(join(world.exports, 'employees.csv'), 'utf8');

/** Rows of the CSV without embedded newlines, so that lines can be edited as text. */
function plainRows(): string[] {
  return csv()
    .split('\n')
    .filter((line) => /^emp-?\d+,|^[A-Za-z]*-?\d+,/.test(line) && (line.match(/"/g) ?? []).length % 2 === 0);
}

/** A digest of every byte of the documents that a change would write. */
/** A digest of all that tells of records; the log's markers tell of runs. */
async function databaseState(): Promise<string> {
  const client = await world.driver();
  try {
    const digest = createHash('sha256');
    for (const name of ['records', 'versions', 'packs', 'commits']) {
      for await (const bytes of client
        .db('tidemark_store')
        .collection(name)
        .find({ mark: { $exists: false } }, { raw: true, sort: { _id: 1 } })) {
        digest.update(bytes as unknown as Buffer);
      }
    }
    return digest.digest('hex');
  } finally {
    await client.close();
  }
}

async function edit(change: (text: string) => string): Promise<void> {
  await world.write('employees.csv', change(csv()));
}

it('mirrors every row of the sample', async () => {
  const status = expectDone(await world.run('status', 'acme-hr')).stdout;
  expect(status).toContain('"5000"'.replaceAll('"', ''));
  expect(status).toContain('20000');
  const list = expectDone(await world.run('records', 'list', 'acme-hr', 'employees'));
  expect(list.objects).toHaveLength(5_001);
  const last = list.objects.at(-1) ?? {};
  expect(Object.keys(last).sort()).toEqual(['completeThrough', 'cursor']);
  since = String(last['completeThrough']);
  expect(Object.keys(list.objects[0] ?? {}).sort()).toEqual([
    'changedAt',
    'connectionId',
    'data',
    'id',
    'model',
    'sequence',
    'version',
  ]);
  expect(Object.keys(list.objects[0]?.['data'] ?? {})).not.toEqual(expect.arrayContaining(['ssn']));
});

it('writes nothing for an identical sync', async () => {
  const before = await databaseState();
  expectDone(await world.sync('acme-hr'));
  expect(await databaseState()).toEqual(before);
  expect(
    records(await world.run('records', 'list', 'acme-hr', 'employees', '--updated-after', since)),
  ).toEqual([]);
});

it('gives exactly the six records that were edited, deleted and added, and shows a watcher each once, live', async () => {
  const watch = world.follow('changes', 'watch', 'acme-hr', '--from-now');
  await until(() => watch.objects.length > 0);
  const rows = plainRows();
  const [a, b, c, d, e] = [10, 500, 1_000, 1_500, 2_000].map((index) => rows[index] ?? '') as [
    string,
    string,
    string,
    string,
    string,
  ];
  const idOf = (row: string) => row.slice(0, row.indexOf(','));
  const firstName = (row: string) => row.split(',')[2] ?? '';
  const rename = (text: string, row: string) =>
    text.replace(`\n${row}\n`, `\n${row.replace(`,${firstName(row)},`, ',Renamed,')}\n`);
  const added = a.replace(idOf(a), 'emp-new');
  await edit(
    (text) =>
      `${[a, b, c].reduce(rename, text).replace(`\n${d}\n`, '\n').replace(`\n${e}\n`, '\n')}${added}\n`,
  );
  const run = expectDone(await world.sync('acme-hr', 'employees'));
  expect(run.stdout).toMatch(/"deleted":\s*"?2"?/);
  const expected = [
    `${idOf(a)} v2`,
    `${idOf(b)} v2`,
    `${idOf(c)} v2`,
    `${idOf(d)} v2 deleted`,
    `${idOf(e)} v2 deleted`,
    'emp-new v1',
  ].sort();
  const changed = expectDone(
    await world.run('records', 'list', 'acme-hr', 'employees', '--updated-after', since),
  );
  expect(brief(changed.objects.slice(0, -1))).toEqual(expected);
  const changes = () => watch.objects.filter((object) => 'operation' in object);
  await until(() => changes().length >= 6);
  expect(brief(changes())).toEqual(expected);
  expect(
    changes()
      .map(({ operation }) => operation)
      .sort(),
  ).toEqual(['CREATED', 'DELETED', 'DELETED', 'UPDATED', 'UPDATED', 'UPDATED']);
  expect(changes().find(({ operation }) => operation === 'UPDATED')).toMatchObject({
    cause: 'FULL',
    changedFields: ['first_name'],
  });
  await watch.kill();

  // A second identical sync gives none.
  since = String(changed.objects.at(-1)?.['completeThrough']);
  expectDone(await world.sync('acme-hr', 'employees'));
  expect(
    records(await world.run('records', 'list', 'acme-hr', 'employees', '--updated-after', since)),
  ).toEqual([]);

  // The killed watcher resumes from the last cursor it printed, without a gap or a repeat.
  const cursor = String(watch.objects.filter((object) => 'cursor' in object).at(-1)?.['cursor']);
  const resumed = world.follow('changes', 'watch', 'acme-hr', '--since', cursor);
  await edit((text) =>
    text.replace(`\n${added}\n`, `\n${added.replace(`,${firstName(added)},`, ',Again,')}\n`),
  );
  expectDone(await world.sync('acme-hr', 'employees'));
  await until(() => resumed.objects.some((object) => 'operation' in object));
  expect(brief(resumed.objects.filter((object) => 'operation' in object))).toEqual(['emp-new v2']);
  await resumed.kill();
});

it('sees no change when only a column outside the scope changed', async () => {
  const before = await databaseState();
  const [ssn = ''] = /\d{3}-\d{2}-\d{4}/.exec(plainRows()[100] ?? '') ?? [];
  expect(ssn).not.toBe('');
  await edit((text) => text.replaceAll(ssn, '999-99-9999'));
  const run = expectDone(await world.sync('acme-hr', 'employees'));
  expect(run.stdout).toMatch(/"updated":\s*"?0"?/);
  expect(await databaseState()).toEqual(before);
});

it('gives a record as it was, and its history', async () => {
  const history = expectDone(
    await world.run('records', 'history', 'acme-hr', 'employees', 'emp-new'),
  ).objects;
  expect(JSON.stringify(history)).toContain('"first_name":"Again"');
  const first = expectDone(
    await world.run('records', 'get', 'acme-hr', 'employees', 'emp-new', '--version', '1'),
  ).objects[0];
  expect(first).toMatchObject({ id: 'emp-new', version: 1, data: { id: 'emp-new' } });
  expect(await world.run('records', 'get', 'acme-hr', 'employees', 'nobody')).toMatchObject({ code: 3 });
  expect(await world.run('records', 'list', 'acme-hr', 'nothing')).toMatchObject({ code: 3 });
  expect(await world.run('records', 'list', 'acme-hr')).toMatchObject({ code: 2 });
});
