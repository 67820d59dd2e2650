import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RecordServiceDefinition, WatchStart } from '@tidemark/contracts';
import { createClient } from '@tidemark/rpc';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { found, plainHashes, readAll } from './leak/raw-files.js';
import {
  KeyHolder,
  storedConnection,
  storedHashes,
  storedHead,
  storedPacks,
  type StoredConnection,
  type StoredPack,
} from './leak/store-keys.js';
import { expectDone, until, World } from './world.js';

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
  Array.from(
    { length: count },
    (_, i) => `e${i},n${i},${i === 7 ? pay : `p${i}`},${i === 9 ? NOTE : ''}\n`,
  ).join('');

/** Everything that a watch from the oldest change gives, up to the connection's head. */
async function watchAll(): Promise<string> {
  const { address, apiKey = '' } = world.stack.target;
  const client = createClient(RecordServiceDefinition, address, { credential: { apiKey } });
  const head = await storedHead(driver, connection._id);
  const texts: string[] = [];
  const request = { connectionIds: [CONNECTION], start: WatchStart.FROM_OLDEST };
  let last = 0;
  for await (const { changes, marker } of client.watchChanges(request)) {
    for (const { record, changedFields } of changes)
      texts.push(Buffer.from(record?.data ?? '').toString(), ...changedFields);
    last += changes.length + (marker === undefined ? 0 : 1);
    if (last >= head) break;
  }
  client.close();
  return texts.join('\n');
}

/** All that may be asked of the connection, and what comes of the filter. */
async function ask(): Promise<{ readonly all: Buffer; readonly byFilter: string }> {
  const answers: string[] = [];
  const say = async (...args: string[]): Promise<string> => {
    const { stdout, stderr } = await world.run(...args);
    answers.push(stdout, stderr);
    return stdout;
  };
  const list = (...options: string[]) => say('records', 'list', CONNECTION, 'staff', ...options);
  await list();
  await list('--as-of', asOf);
  await list('--fields', 'pay');
  const byFilter = await list('--where', `pay=${CURRENT}`);
  for (const id of ['e1', 'e7', 'e9', 'gone']) {
    await say('records', 'history', CONNECTION, 'staff', id);
    await say('records', 'get', CONNECTION, 'staff', id, '--as-of', asOf);
  }
  await say('quarantine', 'list', CONNECTION);
  await say('sync', 'list', CONNECTION);
  await say('scope', 'get', CONNECTION);
  await say('connections', 'get', CONNECTION);
  answers.push(await watchAll());
  return { all: Buffer.from(answers.join('\n')), byFilter };
}

let connection: StoredConnection;
let packs: StoredPack[];
let asOf: string;
/** Keys as they are when nothing seals them, and the keyed hashes of index fields. */
const unsealed: Uint8Array[] = [];
const hashes: Uint8Array[] = [];

it('are given back by every way to read while they are in scope', async () => {
  await world.write('staff.csv', `${HEADER}${rows(FORMER, 60)}gone,g,${DELETED},\n`);
  await world.connect({
    name: CONNECTION,
    connector: 'file',
    config: { path: world.exports, models: { staff: { file: 'staff.csv' } } },
    scope: { staff: { fields: ['id', 'name', 'pay', 'note'], index: ['pay'] } },
    schedule: { fullInterval: '0s' },
  });
  expectDone(await world.sync(CONNECTION));
  const first = expectDone(await world.run('records', 'list', CONNECTION, 'staff')).objects.at(-1);
  asOf = String(first?.['completeThrough']);
  await world.write('staff.csv', HEADER + rows(CURRENT, 60));
  expectDone(await world.sync(CONNECTION));
  await world.write('staff.csv', `${HEADER}${rows(CURRENT, 60)}e1,n1,${TWICE},\n`);
  expectDone(await world.sync(CONNECTION));
  connection = (await storedConnection(driver, CONNECTION)) as StoredConnection;
  packs = await storedPacks(driver, connection._id);
  unsealed.push(...keys.keys(connection), await keys.fingerprintKey(world, connection, 'staff'));
  hashes.push(...(await storedHashes(driver, connection._id)));
  const given = await ask();
  expect(found([given.all], PURGED)).toEqual([CURRENT, FORMER, DELETED, NOTE]);
  expect(given.byFilter).toContain(CURRENT);
  expect(packs.length).toBeGreaterThan(1);
  expect(packs.filter((pack) => !keys.opens(connection, pack))).toEqual([]);
}, 240_000);

it('are given back by none once the scope is narrower, and the key that sealed them is gone', async () => {
  const scope = join(world.folder, 'scope.json');
  await writeFile(scope, JSON.stringify({ staff: ['id', 'name'] }));
  expectDone(await world.run('scope', 'set', CONNECTION, '-f', scope, '--wait'));
  const given = await ask();
  expect(given.all.includes('"n7"')).toBe(true);
  expect(found([given.all], PURGED)).toEqual([]);
  const now = (await storedConnection(driver, CONNECTION)) as StoredConnection;
  const newest = Math.max(...connection.payloadKeys.map(({ e }) => e));
  expect(now.payloadKeys.map(({ e }) => e > newest)).toEqual([true]);
  const fresh = await storedPacks(driver, now._id);
  expect(fresh.filter((pack) => !keys.opens(now, pack))).toEqual([]);
  // Whoever kept a pack from before, as the oplog does until it is overwritten, finds no key for it in the database. The
  // oplog holds the key before as well, but sealed: whoever has it and the master key could still open such a pack. To end
  // that before the oplog rolls over, change the master key and forget the one before.
  expect(packs.filter((pack) => keys.opens(now, pack))).toEqual([]);
  expect(packs.filter((pack) => !keys.opens(connection, pack))).toEqual([]);
  expect(await storedHashes(driver, now._id)).toEqual([]);
  unsealed.push(...keys.keys(now));
  packs.push(...fresh);
}, 240_000);

it('cannot be opened by any key that is left once the connection is deleted', async () => {
  const { _id: uid } = connection;
  expectDone(await world.run('connections', 'delete', CONNECTION));
  await until(async () => (await storedConnection(driver, CONNECTION)) === null);
  const store = driver.db('tidemark_store');
  for (const collection of await store.collections())
    expect(
      await collection.countDocuments({ $or: [{ c: uid }, { _id: uid as never }, { '_id.c': uid }] }),
    ).toBe(0);
  const left = await store.collection<StoredConnection & { _id: string }>('connections').find().toArray();
  expect(packs.filter((pack) => left.some((other) => keys.opens({ ...other, _id: uid }, pack)))).toEqual([]);
}, 120_000);

it('were never in a file as they are, nor a hash that confirms a guess, nor a key, nor in a log', async () => {
  const known = [
    '',
    'tidemark',
    'staff',
    'pay',
    CONNECTION,
    connection._id,
    connection.tenant,
    Buffer.alloc(32),
  ];
  const guessesOf = (value: string) => plainHashes(value, 'staff', 'pay', known);
  const [probe, probeHash] = [canary('probe'), guessesOf(canary('hashed'))[0]];
  await driver.db('tidemark_store').collection('probe').insertOne({ probe, probeHash });
  await world.halt();
  const database = await readAll(world.mongoDir);
  const logs = [...(await readAll(join(world.dataDir, 'logs'))), Buffer.from(world.lines.join('\n'))];
  // The search finds what is there: a name, a value and a hash of a plain collection, the hashes that are keyed.
  expect(found(database, [CONNECTION, probe])).toHaveLength(2);
  expect(found(database, guessesOf(canary('hashed')))).toHaveLength(1);
  expect(found(database, hashes)).not.toEqual([]);
  expect(found([...database, ...logs], PURGED)).toEqual([]);
  expect(found([...database, ...logs], PURGED.flatMap(guessesOf))).toEqual([]);
  const spelt = unsealed.flatMap((key) => [
    Buffer.from(key),
    Buffer.from(key).toString('hex'),
    Buffer.from(key).toString('base64'),
  ]);
  expect(unsealed.map(({ byteLength }) => byteLength)).toEqual(unsealed.map(() => 32));
  expect(found([...database, ...logs], spelt)).toEqual([]);
}, 120_000);
