import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { expectDone, World } from './world.js';

// Values outside the scope must not be in any byte of the database, of the logs, or of what commands print.

const CANARY = 'cAnArY';
const IN_SCOPE = `in-scope-${CANARY}-visible`;
const EXCLUDED = Array.from({ length: 8 }, (_, i) => `${CANARY}-excluded-${i}-${'x'.repeat(8)}`);

let world: World;
const printed: string[] = [];

beforeAll(async () => {
  world = await World.start({ uncompressed: true });
});
afterAll(() => world.stop());

const print = (result: { stdout: string; stderr: string }) => printed.push(result.stdout, result.stderr);

async function syncBoth(): Promise<void> {
  print(await world.sync('leak'));
}

it('are found nowhere, after syncs, changes, deletes, quarantine, failures and errors', async () => {
  const [ssn, salary, nested, malformed, typed, duplicate, listed, late] = EXCLUDED as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const header = 'id,name,level,ssn,salary\n';
  const lines = Array.from(
    { length: 60 },
    (_, i) => `e${i},${i === 7 ? IN_SCOPE : `n${i}`},1,${ssn}-${i},${salary}-${i}\n`,
  );
  await world.write('staff.csv', header + lines.join(''));
  await world.write(
    'people.jsonl',
    `${JSON.stringify({ id: 'p1', name: IN_SCOPE, home: { city: 'Bonn', street: nested }, list: [{ a: listed }, listed] })}\n`,
  );
  await world.connect({
    name: 'leak',
    connector: 'file',
    config: {
      path: world.exports,
      models: {
        staff: { file: 'staff.csv', primaryKey: ['id'], columns: { level: 'integer', salary: 'string' } },
        people: { file: 'people.jsonl', primaryKey: ['id'] },
      },
    },
    scope: { staff: ['id', 'name', 'level'], people: ['id', 'name', 'home.city'] },
    schedule: { fullInterval: '0s' },
  });
  await syncBoth();
  // Changed, malformed, of a wrong type, twice, deleted.
  await world.write(
    'staff.csv',
    `${header}${lines.slice(0, 50).join('')}${malformed},too,many,cells,${malformed},${malformed},${malformed}\ne50,n,${typed},${typed},${typed}\ne1,twice,2,${duplicate},${duplicate}\n`,
  );
  await world.write(
    'people.jsonl',
    `{"id":"p1","name":"${IN_SCOPE}","home":"${nested}","more":"${late}"}\n{"id":"p2","${late}": broken ${late}\n`,
  );
  await syncBoth();
  print(await world.run('quarantine', 'list', 'leak'));
  print(await world.run('connections', 'discover', 'leak'));
  print(await world.run('connections', 'check', 'leak'));
  print(await world.run('records', 'list', 'leak', 'staff', '--fields', 'ssn'));
  // A missing column: the run fails.
  await world.write('staff.csv', `id,name,ssn,salary\ne1,n,${late},${late}\n`);
  await syncBoth();
  const records = await world.run('records', 'list', 'leak', 'staff');
  expect(expectDone(records).stdout).toContain(IN_SCOPE);
  print(records);
  await world.halt();

  const database = await readAll(world.mongoDir);
  expect(database.some((bytes) => bytes.includes(IN_SCOPE))).toBe(true);
  const logs = await readAll(join(world.dataDir, 'logs'));
  expect(logs.length).toBeGreaterThan(0);
  const everywhere = [
    ...database,
    ...logs,
    ...printed.map((text) => Buffer.from(text)),
    Buffer.from(world.lines.join('\n')),
  ];
  for (const value of EXCLUDED) {
    expect([value, everywhere.some((bytes) => bytes.includes(value))]).toEqual([value, false]);
  }
});

async function readAll(folder: string): Promise<Buffer[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name))));
}
