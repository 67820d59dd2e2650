import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RecordServiceDefinition, WatchStart } from '@tidemark/contracts';
import { createClient } from '@tidemark/rpc';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { found, plainHashes, readAll } from './leak/raw-files.js';
import { KeyHolder, storedConnection, storedPacks, type StoredConnection, type StoredPack } from './leak/store-keys.js';
import { expectDone, until, World, type CommandResult } from './world.js';

// Values that were in scope once: after the scope became narrower nothing gives them back, and what sealed them is gone.

let world: World;
let driver: Awaited<ReturnType<World['driver']>>;
let keys: KeyHolder;

beforeAll(async () => {
  world = await World.start({ uncompressed: true });
  driver = await world.driver();
  keys = await KeyHolder.of(world);
});
afterAll(async () => {
  await driver.close();
  await world.stop();
});

const CONNECTION = 'purge-control-6620';
const canary = (name: string) => `cAnArY-${name}-${'z'.repeat(8)}`;
/** In scope at first: as they are, as they were, of a record deleted since, of one that came twice. */
const PURGED = ['current', 'former', 'deleted', 'twice', 'note'].map(canary);
const [CURRENT = '', FORMER = '', DELETED = '', TWICE = '', NOTE = ''] = PURGED;
const HEADER = 'id,name,pay,note\n';
const rows = (pay: string, count: number) =>
  Array.from({ length: count }, (_, i) => `e${i},n${i},${i === 7 ? pay : `p${i}`},${i === 9 ? NOTE : ''}\n`).join('');

/** What each way to read says. */
const answers: string[] = [];

async function say(...args: string[]): Promise<CommandResult> {
  const result = await world.run(...args);
  answers.push(result.stdout, result.stderr);
  return result;
}

/** Everything that a watch from the oldest change gives, up to the connection's head. */
async function watchAll(): Promise<string> {
  const { address, apiKey } = world.stack.target;
  const client = createClient(RecordServiceDefinition, address, { credential: apiKey === undefined ? undefined : { apiKey } });
  const head = await driver.db('tidemark_store').collection<{ _id: string; seq: number }>('clocks').findOne({ _id: connection._id });
  const texts: string[] = [];
  let last = 0;
  for await (const { changes, marker } of client.watchChanges({ connectionIds: [CONNECTION], start: WatchStart.FROM_OLDEST })) {
    texts.push(...changes.map(({ record, changedFields }) => `${Buffer.from(record?.data ?? '').toString()} ${changedFields.join()}`));
    last += changes.length + (marker === undefined ? 0 : 1);
    if (last >= (head?.seq ?? 0)) break;
  }
  client.close();
  return texts.join('\n');
}

/** All that may be asked of a connection. */
async function ask(asOf: string): Promise<string> {
  answers.length = 0;
  await say('records', 'list', CONNECTION, 'staff');
  await say('records', 'list', CONNECTION, 'staff', '--as-of', asOf);
  await say('records', 'list', CONNECTION, 'staff', '--where', `pay=${CURRENT}`);
  await say('records', 'list', CONNECTION, 'staff', '--fields', 'pay');
  for (const id of ['e1', 'e7', 'e9', 'gone']) {
    await say('records', 'history', CONNECTION, 'staff', id);
    await say('records', 'get', CONNECTION, 'staff', id, '--as-of', asOf);
  }
  await say('quarantine', 'list', CONNECTION);
  await say('sync', 'list', CONNECTION);
  await say('scope', 'get', CONNECTION);
  answers.push(await watchAll());
  return answers.join('\n');
}

let connection: StoredConnection;
let packs: StoredPack[];
const secrets: Uint8Array[] = [];
const hashes: Buffer[] = [];

it('are given back by every way to read while they are in scope, and found by a filter', async () => {
  await world.write('staff.csv', `${HEADER}${rows(FORMER, 60)}gone,g,${DELETED},\n`);
  await world.connect({
    name: CONNECTION,
    connector: 'file',
    config: { path: world.exports, models: { staff: { file: 'staff.csv' } } },
    scope: { staff: { fields: ['id', 'name', 'pay', 'note'], index: ['pay'] } },
    schedule: { fullInterval: '0s' },
  });
  expectDone(await world.sync(CONNECTION));
  const asOf = String(expectDone(await world.run('records', 'list', CONNECTION, 'staff')).objects.at(-1)?.['completeThrough']);
  await world.write('staff.csv', HEADER + rows(CURRENT, 60));
  expectDone(await world.sync(CONNECTION));
  await world.write('staff.csv', `${HEADER}${rows(CURRENT, 60)}e1,n1,${TWICE},\n`);
  expectDone(await world.sync(CONNECTION));
  connection = (await storedConnection(driver, CONNECTION)) as StoredConnection;
  packs = await storedPacks(driver, connection._id);
  expect(packs.length).toBeGreaterThan(1);
  expect(packs.every((pack) => keys.opens(connection, pack))).toBe(true);
  secrets.push(...keys.keys(connection), await keys.fingerprintKey(world, connection, 'staff'));
  const indexed = driver.db('tidemark_store').collection<{ h: { buffer: Buffer }[] }>('records').find({ h: { $exists: true } });
  hashes.push(...(await indexed.toArray()).flatMap(({ h }) => h.map(({ buffer }) => buffer)));
  const text = await ask(asOf);
  expect(found([Buffer.from(text)], PURGED)).toEqual([CURRENT, FORMER, DELETED, NOTE]);
  expect(answers[4]).toContain(CURRENT);

  const scope = join(world.folder, 'scope.json');
  await writeFile(scope, JSON.stringify({ staff: ['id', 'name'] }));
  expectDone(await world.run('scope', 'set', CONNECTION, '-f', scope, '--wait'));
  const after = await ask(asOf);
  expect(after).toContain('"n7"');
  expect(found([Buffer.from(after)], PURGED)).toEqual(after.includes(CURRENT) ? [] : []);
}, 240_000);
