import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SyncKind } from '@tidemark/contracts';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { testDatabase, type TestDatabase } from '../../../jest/database.js';
import { startReplicaSet, type TestReplicaSet } from '../../../jest/replica-set.js';
import { expectWhole } from './testing/exact-store.js';
import { startStore, TestWriter, type StoreHarness } from './testing/harness.js';
import { FailoverReader, FailoverWatcher } from './testing/replica-set-readers.js';
import { FailoverWriter } from './testing/replica-set-writers.js';

const KILLS = 20;
const CONNECTIONS = ['failover-a', 'failover-b'];
const MODELS = { followed: ['id', 'level'], mirrored: ['id', 'level'] };
const PAGES_BETWEEN_KILLS = 2;

let set: TestReplicaSet;
const databases: TestDatabase[] = [];
const stores: StoreHarness[] = [];

beforeAll(async () => {
  set = await startReplicaSet({ dataDir: await mkdtemp(join(tmpdir(), 'tidemark-failover-')) });
  for (const process of ['one', 'two']) {
    const database = await testDatabase(set.uri, `tidemark-store-${process}`, databases[0]?.db.databaseName);
    databases.push(database);
    stores.push(await startStore(database));
  }
});
afterAll(async () => {
  await Promise.all(stores.map((store) => store.stop()));
  await Promise.all(databases.map(({ client }) => client.close()));
  await set.stop();
  // After the last kill it may take the set a while to find a new primary, which those who end want to tell so.
}, 180_000);

let turn = 0;
/** Any instance does: each outage leads to another one. */
const anyStore = (): StoreHarness => stores[turn++ % stores.length] as StoreHarness;

it(`loses, repeats and skips nothing while the primary is killed ${KILLS} times under load`, async () => {
  for (const connectionId of CONNECTIONS) await new TestWriter(anyStore(), connectionId).open(MODELS);
  const writers = CONNECTIONS.flatMap((connectionId) => [
    new FailoverWriter(anyStore, connectionId, 'followed', SyncKind.DELTA, 500),
    new FailoverWriter(anyStore, connectionId, 'mirrored', SyncKind.FULL, 30_000),
  ]);
  const watchers = CONNECTIONS.flatMap((connectionId) =>
    stores.map((store) => new FailoverWatcher(() => store, connectionId)),
  );
  const readers = CONNECTIONS.flatMap((connectionId) =>
    (['cursor', 'watermark', 'wall clock'] as const).map(
      (kind) => new FailoverReader(anyStore, connectionId, kind),
    ),
  );
  const all = [...writers, ...watchers, ...readers];
  all.forEach((each) => each.start());
  for (let kill = 0; kill < KILLS; kill++) {
    await set.settled();
    const before = writers.map(({ acknowledged }) => acknowledged);
    await until(() => {
      all.forEach(({ failure }) => expect(failure).toBeUndefined());
      return writers.every(({ acknowledged }, i) => acknowledged >= (before[i] ?? 0) + PAGES_BETWEEN_KILLS);
    });
    // At any instant of a commit.
    await sleep(Math.random() * 30);
    await set.restart(await set.killPrimary());
  }
  await set.settled();
  await Promise.all(writers.map((writer) => writer.stop()));
  await Promise.all(readers.map((reader) => reader.stop()));
  for (const connectionId of CONNECTIONS) {
    const of = <T extends { connectionId: string }>(some: readonly T[]): T[] =>
      some.filter((each) => each.connectionId === connectionId);
    const stored = await expectWhole(anyStore(), connectionId);
    const expected = contentsOf(of(writers));
    for (const watcher of of(watchers)) {
      await until(() => watcher.changes.length >= stored.length || watcher.failure !== undefined);
      expect(watcher.failure).toBeUndefined();
      expect(watcher.repeated).toEqual([]);
      expect(watcher.late).toEqual([]);
      expect(watcher.changes.map(({ record }) => Number(record?.sequence))).toEqual(
        stored.map(({ sequence }) => sequence),
      );
      expect(watchedContents(watcher)).toEqual(expected);
    }
    for (const { known } of of(readers)) expect(new Map([...known].sort())).toEqual(newestOf(expected));
  }
  all.forEach(({ failure }) => expect(failure).toBeUndefined());
  await Promise.all(watchers.map((watcher) => watcher.stop()));
}, 300_000);

/** By record, what its versions hold. */
type Contents = Map<string, string[]>;

const GONE = 'deleted';

function contentsOf(writers: readonly FailoverWriter[]): Contents {
  const entries = writers.flatMap(({ model, versions }) =>
    [...versions].map(([id, levels]): [string, string[]] => [
      `${model}/${id}`,
      levels.map((level) => (level === undefined ? GONE : JSON.stringify({ id, level }))),
    ]),
  );
  return new Map(entries.sort());
}

function watchedContents({ changes }: FailoverWatcher): Contents {
  const contents: Contents = new Map();
  for (const { record } of changes) {
    const key = `${record?.model}/${record?.id}`;
    const versions = contents.get(key) ?? [];
    contents.set(key, versions);
    versions.push(record?.deletedAt ? GONE : Buffer.from(record?.data ?? '').toString());
    expect(Number(record?.version)).toBe(versions.length);
  }
  return new Map([...contents].sort());
}

/** As a reader knows them. */
function newestOf(contents: Contents): Map<string, string> {
  return new Map([...contents].map(([key, versions]) => [key, `v${versions.length} ${versions.at(-1)}`]));
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(20);
}
