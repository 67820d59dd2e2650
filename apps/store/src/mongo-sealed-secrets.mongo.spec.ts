import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Keyring } from '@tidemark/model';
import { createLogger, Resealing, type SealedSecrets } from '@tidemark/runtime';
import { Binary } from 'mongodb';
import { testDatabase, type TestDatabase } from '../../../jest/database.js';
import { StoreDatabase, type ConnectionDocument } from './mongo-collections.js';
import { MongoSealedSecrets } from './mongo-sealed-secrets.js';
import { CURSOR_KEY, cursorKey } from './mongo-settings.js';
import { employee, EMPLOYEE_FIELDS } from './testing/employees.js';
import { startStore, TestWriter, type StoreHarness } from './testing/harness.js';
import { removeAll, uidOf } from './testing/writers.js';

const [A, B, C] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2), Buffer.alloc(32, 3)];
const both = new Keyring(B, [A]);
const NARROW = { employees: ['id', 'name'] };
const logger = createLogger({ service: 'store', level: 'error' });

let database: TestDatabase;
let db: StoreDatabase;
let secrets: MongoSealedSecrets;
let running: StoreHarness[] = [];

beforeEach(async () => {
  database = await testDatabase();
  db = new StoreDatabase(database.client, database.db);
  secrets = new MongoSealedSecrets(db);
});
afterEach(async () => {
  for (const harness of running) await harness.stop();
  running = [];
  await database.drop();
});

async function start(keyring: Keyring): Promise<StoreHarness> {
  const harness = await startStore(database, { keyring });
  running.push(harness);
  return harness;
}

/** A connection with one record. */
async function filled(harness: StoreHarness, name: string): Promise<TestWriter> {
  const writer = new TestWriter(harness, name);
  await writer.open(EMPLOYEE_FIELDS);
  await writer.full('employees', 'run-1', [employee('a')]);
  return writer;
}

const reader = (harness: StoreHarness, name: string): TestWriter => new TestWriter(harness, name);

async function ids(writer: TestWriter, cursor?: string): Promise<string[]> {
  const request = cursor === undefined ? {} : { start: { $case: 'cursor', value: cursor } as const };
  return (await writer.records(request)).records.map(({ id }) => id);
}

const pass = (keyring = both, of: SealedSecrets = secrets) => new Resealing(of, keyring, logger).pass();

async function stored(_id: string): Promise<ConnectionDocument> {
  const connection = await db.connections.findOne({ _id });
  if (connection === null) throw new Error('there is no such connection');
  return connection;
}

const keysOf = ({ identityKey, payloadKeys }: ConnectionDocument): Uint8Array[] =>
  [identityKey, ...payloadKeys.map(({ key }) => key)].map(({ buffer }) => buffer);

const areCurrent = async (uid: string): Promise<boolean[]> =>
  keysOf(await stored(uid)).map((key) => both.isCurrent(key));

/** The secrets, with something done when one of them has been read. */
function before(index: number, act: () => Promise<unknown>): SealedSecrets {
  return {
    async *all() {
      let count = 0;
      for await (const secret of secrets.all()) {
        if (count++ === index) await act();
        yield secret;
      }
    },
  };
}

describe('when the master key is changed', () => {
  it('cursors stay good, and everything opens with the new key alone', async () => {
    const old = await filled(await start(new Keyring(A)), 'hr');
    const { cursor } = (await old.records()).last;
    await (await old.begin('employees', 'run-2')).page([employee('b')]);
    const between = reader(await start(both), 'hr');
    expect(await ids(between, cursor)).toEqual(['b']);

    expect(await pass()).toEqual({ resealed: 3, contested: 0, unopened: 0 });

    const fresh = reader(await start(new Keyring(B)), 'hr');
    for (const each of [old, between, fresh]) {
      expect(await ids(each, cursor)).toEqual(['b']);
      expect(await ids(each)).toEqual(['a', 'b']);
    }
    const later = (await fresh.records()).last.cursor;
    expect(await ids(old, later)).toEqual([]);
    expect(await pass()).toEqual({ resealed: 0, contested: 0, unopened: 0 });
  });

  it('fingerprints and what a running store remembers stay as they are', async () => {
    await filled(await start(new Keyring(A)), 'hr');
    const writer = reader(await start(both), 'hr');
    writer.epoch = 1n;
    expect(await ids(writer)).toEqual(['a']);
    await pass();
    const run = await writer.begin('employees', 'run-2');
    run.sendPayloads = false;
    expect((await run.page([employee('a')])).missingPayloads).toEqual([]);
    run.sendPayloads = true;
    await run.page([employee('b')]);
    expect(await ids(reader(await start(new Keyring(B)), 'hr'))).toEqual(['a', 'b']);
  });

  it.each([
    ['before all is sealed anew, with the new key alone', B, async () => undefined],
    ['after that, with the old key alone', A, () => pass()],
  ])('a store does not start %s', async (_, key, reseal) => {
    await filled(await start(new Keyring(A)), 'hr');
    await reseal();
    await expect(start(new Keyring(key))).rejects.toMatchObject({
      reason: 'KEY_UNAVAILABLE',
      message: expect.stringContaining('TIDEMARK_PREVIOUS_MASTER_KEYS'),
    });
  });

  it('a key that does not open keeps neither the start nor any other key from it', async () => {
    const harness = await start(new Keyring(A));
    const uids: string[] = [];
    for (const name of ['one', 'two', 'three']) uids.push(await uidOf(await filled(harness, name)));
    const [lost = '', ...others] = uids.sort();
    const identityKey = new Binary(new Keyring(C).seal(Buffer.alloc(32), 'connection-key', lost));
    await db.connections.updateOne({ _id: lost }, { $set: { identityKey } });

    const { resealing } = (await start(both)).store;
    for (const uid of uids) expect(await areCurrent(uid)).toEqual([false, false]);
    resealing.start();
    const cursorKeyIsCurrent = async (): Promise<boolean> =>
      both.isCurrent((await db.settings.findOne({ _id: CURSOR_KEY }))?.value.buffer ?? A);
    while (!(await cursorKeyIsCurrent())) await new Promise(setImmediate);
    await resealing.stop();

    expect(await areCurrent(lost)).toEqual([false, true]);
    expect((await stored(lost)).identityKey).toEqual(identityKey);
    for (const uid of others) expect(await areCurrent(uid)).toEqual([true, true]);
    expect(await pass()).toEqual({ resealed: 0, contested: 0, unopened: 1 });
  });

  it('several stores seal anew at a time', async () => {
    const harness = await start(new Keyring(A));
    for (let n = 0; n < 120; n++) await new TestWriter(harness, `hr-${n}`).open(EMPLOYEE_FIELDS);
    const results = await Promise.all([pass(), pass(), pass()]);
    expect(results.reduce((sum, { resealed }) => sum + resealed, 0)).toBe(241);
    expect(await pass()).toEqual({ resealed: 0, contested: 0, unopened: 0 });
  });
});

describe('a purge', () => {
  it('has two payload keys, each sealed anew, and goes on', async () => {
    await filled(await start(new Keyring(A)), 'hr');
    const writer = reader(await start(both), 'hr');
    await writer.open(NARROW, 2n);
    expect(await areCurrent(await uidOf(writer))).toEqual([false, false, true]);
    expect(await pass()).toEqual({ resealed: 3, contested: 0, unopened: 0 });
    expect(await areCurrent(await uidOf(writer))).toEqual([true, true, true]);
    expect(await writer.purge()).toMatchObject({ changedRecords: 1n });
    expect(await ids(reader(await start(new Keyring(B)), 'hr'))).toEqual(['a']);
  });

  it('that ends meanwhile destroys its key for ever', async () => {
    await (await filled(await start(new Keyring(A)), 'hr')).open(NARROW, 2n);
    const writer = reader(await start(both), 'hr');
    const racing = before(1, () => writer.purge());
    expect(await pass(both, racing)).toEqual({ resealed: 3, contested: 1, unopened: 0 });
    expect((await stored(await uidOf(writer))).payloadKeys.map(({ e }) => e)).toEqual([2]);
    expect(await pass()).toEqual({ resealed: 0, contested: 0, unopened: 0 });
    expect(await ids(reader(await start(new Keyring(B)), 'hr'))).toEqual(['a']);
  });
});

describe('a removal', () => {
  const remove = ({ harness, tenantId, connectionId }: TestWriter) =>
    harness.writing.removeConnection({ tenantId, connectionId });

  it('under way is left alone', async () => {
    const writer = await filled(await start(new Keyring(A)), 'hr');
    await remove(writer);
    expect(await db.connections.countDocuments({ removing: true })).toBe(1);
    expect(await pass()).toEqual({ resealed: 1, contested: 0, unopened: 0 });
  });

  it('that comes between gets no key back', async () => {
    const writer = await filled(await start(new Keyring(A)), 'hr');
    expect(
      await pass(
        both,
        before(0, () => remove(writer)),
      ),
    ).toMatchObject({ resealed: 1, contested: 2 });
    const [left] = await db.connections.find().toArray();
    expect(left).toMatchObject({ removing: true, payloadKeys: [] });
    expect(left?.identityKey.length()).toBe(0);
    await removeAll(writer);
    expect(await pass()).toEqual({ resealed: 0, contested: 0, unopened: 0 });
  });
});

describe('the key of cursors', () => {
  const exported = async (keyring: Keyring): Promise<string> =>
    (await cursorKey(db, keyring)).export().toString('hex');
  const inDatabase = async (): Promise<Buffer> =>
    Buffer.from((await db.settings.findOne({ _id: CURSOR_KEY }))?.value.buffer ?? A);
  const several = (keyring: Keyring) => Promise.all(Array.from({ length: 8 }, () => exported(keyring)));

  it('is one for all stores that start at once, and not to be read in the database', async () => {
    const [key = '', ...others] = await several(new Keyring(A));
    expect(key).toHaveLength(64);
    expect(new Set([key, ...others, await exported(both)]).size).toBe(1);
    expect((await inDatabase()).includes(Buffer.from(key, 'hex'))).toBe(false);
  });

  it('of before it was sealed is sealed as it is', async () => {
    const plain = Buffer.alloc(32, 9);
    await db.settings.insertOne({ _id: CURSOR_KEY, value: new Binary(plain) });
    expect(new Set(await several(new Keyring(A)))).toEqual(new Set([plain.toString('hex')]));
    expect((await inDatabase()).includes(plain)).toBe(false);
  });
});
