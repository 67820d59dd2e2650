import { SyncKind, WatchStart } from '@tidemark/contracts';
import { formatPath } from '@tidemark/model';
import { forTenant } from '@tidemark/rpc';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { follow } from './testing/follow.js';
import { startStore, TestWriter, type StoreHarness, type TestRecord } from './testing/harness.js';
import { HOSTILE_KEYS } from './testing/hostile-records.js';
import { newWriter, uidOf } from './testing/writers.js';

// Names of fields and models that mean something elsewhere, wherever a request may name them.

let harness: StoreHarness;

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

const metadata = forTenant('acme');
const textOf = ({ data }: { data: Uint8Array }) => Buffer.from(data).toString();
/** One record for each key, with this key alone. */
const alone = (keys: readonly string[], value = ''): TestRecord[] =>
  keys.map((key, i) => [`r${i}`, `{${JSON.stringify(key)}:${JSON.stringify(`${value}${i}`)}}`]);

describe('a field of a hostile name', () => {
  it('is the one that a read asks for, and the one that a change tells of', async () => {
    const paths = HOSTILE_KEYS.map((key) => formatPath([key]));
    const writer = await newWriter(harness, { odd: paths });
    await writer.full('odd', 'run-1', alone(HOSTILE_KEYS));
    await writer.full('odd', 'run-2', alone(HOSTILE_KEYS, 'new '));
    const watch = follow(harness, { connectionIds: [writer.connectionId], start: WatchStart.FROM_OLDEST });
    await watch.until(() => watch.changes().length === 2 * paths.length);
    await watch.stop();
    expect(
      watch
        .changes()
        .slice(paths.length)
        .map(({ changedFields }) => changedFields),
    ).toEqual(paths.map((path) => [path]));
    for (const [i, path] of paths.entries()) {
      const { records } = await writer.records({ fields: [path] });
      const expected = paths.map((_, n) =>
        n === i ? `{${JSON.stringify(HOSTILE_KEYS[i])}:"new ${i}"}` : '{}',
      );
      expect(records.map(textOf)).toEqual(expected);
      const at = { connectionId: writer.connectionId, model: 'odd', id: `r${i}` };
      const { versions } = await harness.reading.listRecordVersions(at, { metadata });
      expect(versions.map(({ changedFields }) => changedFields)).toEqual([[path], []]);
    }
  });

  it('is one to filter on, also when it becomes an index field later', async () => {
    // A scope has 16 index fields at most.
    const keys = ['__proto__', ...HOSTILE_KEYS.filter((key) => key !== '__proto__')].slice(0, 16);
    const paths = keys.map((key) => formatPath([key]));
    const writer = await newWriter(harness);
    const expectFound = async () => {
      for (const [i, path] of paths.entries()) {
        const { records } = await writer.records({ filter: new Map([[path, JSON.stringify(String(i))]]) });
        expect(records.map(({ id }) => id)).toEqual([`r${i}`]);
        expect((await writer.records({ filter: new Map([[path, '"other"']]) })).records).toEqual([]);
      }
    };
    await writer.open({ odd: paths }, 2n, { odd: paths });
    await writer.purge();
    await writer.full('odd', 'run-1', alone(keys));
    await expectFound();
    await writer.open({ odd: paths }, 3n);
    await writer.purge();
    await writer.open({ odd: paths }, 4n, { odd: paths });
    await writer.purge();
    await expectFound();
  });
});

describe('models of hostile names', () => {
  const MODELS = [
    ...[
      '__proto__',
      'constructor',
      '$set',
      'a.b',
      'm',
      'm;',
      'm ',
      'm!',
      'm\0',
      'm\0m',
      'm\n',
      '@m',
      '=m',
      'm'.repeat(1_024),
    ],
  ];
  const IDS = ['a', 'b', '', ':', ';', '@', '='].map((end) => `x${end}`);
  const content = (id: string): TestRecord => [id, { id }];

  async function openAll(models: readonly string[], revision: bigint, connectionId: string): Promise<void> {
    const entries = models.map((model) => ({ model, fields: ['id'], indexFields: [] }));
    await harness.writing.openConnection({
      tenantId: 'acme',
      connectionId,
      scope: { revision, models: entries },
    });
  }

  async function state(writer: TestWriter): Promise<string[]> {
    const { records } = await writer.records();
    return records
      .map(({ model, id, version, deletedAt }) =>
        JSON.stringify([model, id, Number(version), deletedAt !== undefined]),
      )
      .sort();
  }

  const expected = (models: readonly string[], gone: (model: string, id: string) => boolean) =>
    models
      .flatMap((model) =>
        IDS.map((id) => JSON.stringify([model, id, gone(model, id) ? 2 : 1, gone(model, id)])),
      )
      .sort();

  it('keep to themselves in reads, deletes, deltas and purges', async () => {
    const writer = new TestWriter(harness, 'hostile-models');
    await openAll(MODELS, 1n, writer.connectionId);
    for (const [i, model] of MODELS.entries()) await writer.full(model, `run-${i}`, IDS.map(content));
    expect(await state(writer)).toEqual(expected(MODELS, () => false));
    for (const model of MODELS) {
      const { records } = await writer.records({ models: [model] });
      expect(records.map((record) => [record.model, record.id])).toEqual(IDS.map((id) => [model, id]));
    }
    // One model loses records by a snapshot, another one by a delta; the others keep theirs.
    await writer.full('m', 'run-m', IDS.slice(2).map(content));
    await (await writer.begin('m;', 'delta-m', SyncKind.DELTA)).page([['xa', null]]);
    const gone = (model: string, id: string) =>
      (model === 'm' && ['xa', 'xb'].includes(id)) || (model === 'm;' && id === 'xa');
    expect(await state(writer)).toEqual(expected(MODELS, gone));
    const removed = ['m', '__proto__', 'm\0'];
    const kept = MODELS.filter((model) => !removed.includes(model));
    await openAll(kept, 2n, writer.connectionId);
    expect(await writer.purge()).toMatchObject({
      removedModels: expect.arrayContaining(removed),
      removedRecords: BigInt(3 * IDS.length),
    });
    expect(await state(writer)).toEqual(expected(kept, gone));
    const uid = await uidOf(writer);
    expect(await harness.db.records.countDocuments({ c: uid, m: { $in: removed } })).toBe(0);
  });

  it('are refused with a colon or without a character', async () => {
    for (const model of ['', ':', 'a:b', ':a'])
      await expect(openAll([model], 1n, 'refused-models')).rejects.toMatchObject({
        reason: 'REQUEST_INVALID',
      });
  });
});
