import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { expectDone, until, World } from './world.js';

// No fault of a file ever deletes a record.

let world: World;
let number = 0;
let name: string;

const HEADER = 'id,name,level\n';
const row = (i: number, level = 1) => `e${i},"Name, ${i}",${level}\n`;
const rows = (count: number, level = 1) => Array.from({ length: count }, (_, i) => row(i, level)).join('');

beforeAll(async () => {
  world = await World.start();
});
afterAll(() => world.stop());
beforeEach(async () => {
  name = `files-${number++}`;
});

async function mirror(model: object = {}): Promise<void> {
  await world.write('staff.csv', HEADER + rows(100));
  await connect({ file: 'staff.csv', primaryKey: ['id'], columns: { level: 'integer' }, ...model });
}

async function connect(staff: object): Promise<void> {
  await world.connect({
    name,
    connector: 'file',
    config: { path: world.exports, models: { staff } },
    scope: { staff: ['id', 'name', 'level'] },
    schedule: { fullInterval: '0s' },
  });
  expectDone(await world.sync(name));
}

async function live(): Promise<number> {
  return expectDone(await world.run('records', 'list', name, 'staff', '--no-deleted')).objects.length - 1;
}

async function quarantine(): Promise<string[]> {
  const [answer] = expectDone(await world.run('quarantine', 'list', name)).objects;
  return (answer?.['records'] as { reason: string }[]).map(({ reason }) => reason);
}

describe('a file', () => {
  it.each([
    ['cut within a row', () => (HEADER + rows(97)).slice(0, -4)],
    ['cut within a quoted cell', () => `${HEADER}${rows(97)}e97,"Name, 9`],
    [
      'with a malformed row whose id is lost',
      () => `${HEADER}${rows(50)}broken\n${rows(97).slice(rows(50).length)}`,
    ],
  ])('%s deletes nothing and says so', async (_, content) => {
    await mirror();
    await world.write('staff.csv', content());
    const run = await world.sync(name);
    expect(await live()).toBe(100);
    expect(run.stdout + run.stderr).toMatch(
      /not certified|TRUNCATED|MALFORMED|cut short|incomplete|uncertified|"certified":\s*false/,
    );
    expect(run.stdout).not.toMatch(/"deleted":\s*"?[1-9]/);
  });

  it('with a row of a wrong type quarantines it and keeps the record as it was', async () => {
    await mirror();
    await world.write('staff.csv', `${HEADER}${rows(99, 2)}e99,Ninety-nine,many\n`);
    expectDone(await world.sync(name));
    expect(await live()).toBe(100);
    expect(await quarantine()).toEqual(['TYPE_MISMATCH']);
    expect((await world.run('records', 'get', name, 'staff', 'e99')).objects[0]).toMatchObject({
      version: 1,
      data: { level: 1 },
    });
  });

  it('with a key that comes twice quarantines the second and deletes nothing', async () => {
    await mirror();
    await world.write('staff.csv', HEADER + rows(90) + row(5, 7));
    expectDone(await world.sync(name));
    expect(await live()).toBe(100);
    expect(await quarantine()).toEqual(['ID_DUPLICATE']);
    expect((await world.run('records', 'get', name, 'staff', 'e5')).objects[0]).toMatchObject({ version: 1 });
  });

  it('without a column of the scope fails with its name', async () => {
    await mirror();
    await world.write('staff.csv', rows(100).replace(/,1\n/g, '\n').replace(/^/, 'id,name\n'));
    const run = await world.sync(name);
    expect(run.code).toBe(1);
    expect(run.stdout + run.stderr).toContain('level');
    expect(await live()).toBe(100);
  });

  it('that is gone, empty or shrunk beyond the guard deletes nothing', async () => {
    await mirror();
    await rm(join(world.exports, 'staff.csv'));
    expect((await world.sync(name)).code).toBe(1);
    await world.write('staff.csv', '');
    expect((await world.sync(name)).code).not.toBe(0);
    await world.write('staff.csv', HEADER + rows(40));
    const held = await world.sync(name);
    expect(held.code).toBe(6);
    expect(await live()).toBe(100);
    const runId = String((held.stdout.match(/"id":\s*"([^"]+)"/) ?? [])[1]);
    expectDone(await world.run('sync', 'discard', runId));
    expect(await live()).toBe(100);
    const again = await world.sync(name);
    expect(again.code).toBe(6);
    const againId = String((again.stdout.match(/"id":\s*"([^"]+)"/) ?? [])[1]);
    expectDone(await world.run('sync', 'approve', againId));
    expectDone(await world.run('sync', 'watch', againId));
    expect(await live()).toBe(40);
  });

  it('whose count file says more deletes nothing until they agree', async () => {
    await world.write('staff.count', '100\n');
    await mirror({ countFile: 'staff.count' });
    await world.write('staff.csv', HEADER + rows(95));
    await world.sync(name);
    expect(await live()).toBe(100);
    await world.write('staff.count', '95\n');
    expectDone(await world.sync(name));
    expect(await live()).toBe(95);
  });

  it('compressed and cut off deletes nothing', async () => {
    const whole = gzipSync(HEADER + rows(100));
    await world.write('staff.csv.gz', whole);
    await connect({ file: 'staff.csv.gz', format: 'csv', primaryKey: ['id'], columns: { level: 'integer' } });
    expect(await live()).toBe(100);
    await world.write('staff.csv.gz', gzipSync(HEADER + rows(90)).subarray(0, -20));
    await world.sync(name);
    expect(await live()).toBe(100);
  });

  it('whose connection is updated is read anew, and never under another primary key', async () => {
    await mirror();
    await world.write('other.csv', `${HEADER}${rows(101)}`);
    const update = async (staff: object) => {
      const models = { staff: { primaryKey: ['id'], columns: { level: 'integer' }, ...staff } };
      const config = { path: world.exports, models };
      const connection = { name, connector: 'file', config, schedule: { fullInterval: '0s' } };
      await world.write('../update.json', JSON.stringify(connection));
      return world.run('connections', 'update', name, '-f', `${world.folder}/update.json`);
    };
    expect(await update({ file: 'staff.csv', primaryKey: ['name'] })).toMatchObject({ code: 2 });
    expectDone(await update({ file: 'other.csv' }));
    await until(async () => (await live()) === 101);
  });
});
