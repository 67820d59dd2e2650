import { MarkerKind, SyncKind, WatchStart } from '@tidemark/contracts';
import { Keyring } from '@tidemark/model';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { KeyCabinet } from './connection-keys.js';
import type { ConnectionDocument } from './mongo-collections.js';
import { expandDelivered, type Delivered } from './mongo-feed-commits.js';
import { MongoPacks } from './mongo-packs.js';
import { follow } from './testing/follow.js';
import { MASTER_KEY, startStore, type StoreHarness, type TestWriter } from './testing/harness.js';
import { newWriter, uidOf } from './testing/writers.js';

let harness: StoreHarness;
let packs: MongoPacks;

beforeAll(async () => {
  harness = await startStore();
  packs = new MongoPacks(harness.db, new KeyCabinet(new Keyring(MASTER_KEY)));
});
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(() => harness.stop());

const WIDE = { people: ['id', 'salary'], jobs: ['id', 'salary'] };
const NARROW = { people: ['id'], jobs: ['id', 'salary'] };

/** A connection whose log is: a commit of people, one of jobs, a delete of people. */
async function written(): Promise<TestWriter> {
  const writer = await newWriter(harness, WIDE);
  const [people, jobs] = [
    await writer.begin('people', 'run-1', SyncKind.DELTA),
    await writer.begin('jobs', 'run-1', SyncKind.DELTA),
  ];
  await people.page([
    ['a', { id: 'a', salary: 1 }],
    ['b', { id: 'b', salary: 2 }],
  ]);
  await jobs.page([['j', { id: 'j', salary: 3 }]]);
  await people.page([['a', null]]);
  return writer;
}

/** What the change stream brought of each commit, and the connection as it was then. */
async function delivered(writer: TestWriter): Promise<[ConnectionDocument, Delivered[]]> {
  const [connection, c] = [await connectionOf(writer), await uidOf(writer)];
  const [entries, stored] = [
    await harness.db.commits.find({ c }).sort({ _id: 1 }).toArray(),
    await harness.db.packs.find({ c }).toArray(),
  ];
  return [
    connection,
    entries.map((entry) => ({
      entry,
      packs: stored.filter(({ _id }) => _id.n >= entry.f && _id.n <= entry._id.n),
    })),
  ];
}

async function connectionOf(writer: TestWriter): Promise<ConnectionDocument> {
  const connection = await harness.db.connections.findOne({ name: writer.connectionId });
  if (connection === null) throw new Error('no such connection');
  return connection;
}

const text = (payload: Uint8Array | undefined) => payload && Buffer.from(payload).toString();
const told = (connection: ConnectionDocument, each: Delivered) =>
  expandDelivered(packs, connection, each)?.changes.map(({ id, payload }) => [id, text(payload)]);

describe('what the change stream brought', () => {
  it('is told as it was written', async () => {
    const [connection, commits] = await delivered(await written());
    expect(commits.map((each) => told(connection, each))).toEqual([
      [
        ['a', '{"id":"a","salary":1}'],
        ['b', '{"id":"b","salary":2}'],
      ],
      [['j', '{"id":"j","salary":3}']],
      [['a', undefined]],
    ]);
  });

  it('is not told without all of its payloads', async () => {
    const [connection, [first]] = await delivered(await written());
    if (first === undefined) throw new Error('no commit');
    expect(told(connection, { ...first, packs: [] })).toBeUndefined();
  });

  it.each([
    ['before it is purged', async () => undefined],
    ['after it was purged', (writer: TestWriter) => writer.purge()],
  ])('is left to the database when the scope became narrower, %s', async (_, purge) => {
    const writer = await written();
    const [, commits] = await delivered(writer);
    await writer.open(NARROW, 2n);
    await purge(writer);
    const connection = await connectionOf(writer);
    expect(commits.map((each) => told(connection, each))).toEqual([undefined, undefined, undefined]);
  });

  it('is left to the database when its key was destroyed', async () => {
    const writer = await written();
    const [, commits] = await delivered(writer);
    await writer.open(WIDE, 2n, { people: ['id'] });
    await writer.purge();
    const connection = await connectionOf(writer);
    expect(commits.slice(0, 2).map((each) => told(connection, each))).toEqual([undefined, undefined]);
  });
});

describe('a pack', () => {
  it('is read again when its key was destroyed since it was read', async () => {
    const writer = await written();
    const [before, [first]] = await delivered(writer);
    const [pack] = first?.packs ?? [];
    if (pack === undefined) throw new Error('no pack');
    await writer.open(NARROW, 2n);
    await writer.purge();
    await writer.open({ ...NARROW, people: ['id', 'name'] }, 3n, { people: ['id'] });
    await writer.purge();
    const opened = await packs.openForReading(await connectionOf(writer), pack);
    expect([1, 2].map((sequence) => text(opened?.read(sequence)))).toEqual(['{"id":"a"}', '{"id":"b"}']);
    // Whoever still has the key reads what it sealed.
    expect(text((await packs.openForReading(before, pack))?.read(1))).toBe('{"id":"a","salary":1}');
  });

  it('is gone when its model was purged since it was read', async () => {
    const writer = await written();
    const [, [first]] = await delivered(writer);
    const [pack] = first?.packs ?? [];
    if (pack === undefined) throw new Error('no pack');
    await writer.open({ jobs: ['id'] }, 2n);
    await writer.purge();
    expect(await packs.openForReading(await connectionOf(writer), pack)).toBeUndefined();
  });
});

it('a watch goes on when a model is purged while it reads of it', async () => {
  const writer = await written();
  const find = harness.db.commits.findOne.bind(harness.db.commits);
  const raced = jest
    .spyOn(harness.db.commits, 'findOne')
    .mockImplementationOnce(async (...args: Parameters<typeof find>) => {
      const entry = await find(...args);
      await writer.open({ jobs: ['id', 'salary'] }, 2n);
      await writer.purge();
      return entry;
    });
  const watch = follow(harness, { connectionIds: [writer.connectionId], start: WatchStart.FROM_OLDEST });
  await watch.until(() => watch.responses.some(({ marker }) => marker?.kind === MarkerKind.SCOPE_CHANGED));
  expect(raced.mock.calls.length).toBeGreaterThan(1);
  expect(watch.changes().map(({ record }) => record?.id)).toEqual(['j']);
  await watch.stop();
});
