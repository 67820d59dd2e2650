import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { found, readAll } from './leak/raw-files.js';
import { expectDone, World } from './world.js';

// Values outside the scope must not be in any byte of the database, of the logs, or of what commands print; values inside
// it are sealed, and in no byte of the database or of the logs either.

const CANARY = 'cAnArY';
/** A name is no secret: it shows that the search finds what is there. */
const CONNECTION = 'leak-control-7151';
const PROBE = `${CANARY}-in-a-probe-${'x'.repeat(8)}`;
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
  print(await world.sync(CONNECTION));
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
    name: CONNECTION,
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
  print(await world.run('quarantine', 'list', CONNECTION));
  print(await world.run('connections', 'discover', CONNECTION));
  print(await world.run('connections', 'check', CONNECTION));
  print(await world.run('records', 'list', CONNECTION, 'staff', '--fields', 'ssn'));
  // A missing column: the run fails.
  await world.write('staff.csv', `id,name,ssn,salary\ne1,n,${late},${late}\n`);
  await syncBoth();
  const records = await world.run('records', 'list', CONNECTION, 'staff');
  expect(expectDone(records).stdout).toContain(IN_SCOPE);
  print(records);
  const driver = await world.driver();
  await driver.db('tidemark_store').collection<{ value: string }>('probe').insertOne({ value: PROBE });
  await driver.close();
  await world.halt();

  const database = await readAll(world.mongoDir);
  expect(found(database, [CONNECTION, PROBE])).toEqual([CONNECTION, PROBE]);
  const logs = await readAll(join(world.dataDir, 'logs'));
  const services = Buffer.concat(logs);
  for (const service of ['store', 'scheduler', 'gateway', 'connector-file'])
    expect(services.includes(`"service":"${service}"`)).toBe(true);
  const behind = [...database, ...logs, Buffer.from(world.lines.join('\n'))];
  expect(found([...behind, ...printed.map((text) => Buffer.from(text))], EXCLUDED)).toEqual([]);
  expect(found(behind, [IN_SCOPE])).toEqual([]);
});
