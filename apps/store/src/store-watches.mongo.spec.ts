import { type WatchChangesResponse } from '@tidemark/contracts';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { employee, many } from './testing/employees.js';
import { follow } from './testing/follow.js';
import { startStore, type StoreHarness } from './testing/harness.js';
import { newWriter, removeAll } from './testing/writers.js';

let harness: StoreHarness;

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

describe('watches', () => {
  it('replay from the oldest, follow live, and resume from a cursor without gap or repeat', async () => {
    const writer = await newWriter(harness);
    const connectionIds = [writer.connectionId];
    await writer.full('employees', 'run-1', many(1_000), [employee('x'), employee('y')]);
    const watch = follow(harness, { connectionIds, start: 2 });
    await watch.until(() => watch.changes().length >= 1_002);
    await writer.full('employees', 'run-2', many(1_000, 2), [employee('x')]);
    await watch.until(() => watch.changes().length >= 2_003);
    await watch.stop();
    // Two sequences are those of markers: the first snapshot and the end of its sync.
    const sequences = Array.from({ length: 2_005 }, (_, i) => i + 1).filter(
      (s) => s !== 1_003 && s !== 1_004,
    );
    expect(watch.changes().map(({ record }) => Number(record?.sequence))).toEqual(sequences);
    expect(watch.changes().at(-1)).toMatchObject({
      operation: 3,
      cause: 1,
      runId: 'run-2',
      record: { id: 'y', version: 2n },
    });
    expect(watch.changes()[1_500]).toMatchObject({ operation: 2, changedFields: ['level'] });
    const middle = watch.responses.find(({ changes }) => changes.length > 0) as WatchChangesResponse;
    const resumed = follow(harness, { connectionIds, cursors: [middle.cursor] });
    await resumed.until(() => resumed.changes().length >= 2_003 - middle.changes.length);
    await resumed.stop();
    expect(resumed.changes()).toEqual(watch.changes().slice(middle.changes.length));
  });

  it('begin with a cursor from now, and tell of the first snapshot and of finished syncs', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-0', [employee('before')]);
    const watch = follow(harness, { connectionIds: [writer.connectionId] });
    await watch.until(() => watch.responses.length > 0);
    expect(watch.responses[0]).toMatchObject({
      changes: [],
      completeThrough: expect.any(Date),
      cursor: expect.stringMatching(/./),
    });
    await writer.full('employees', 'run-1', [employee('before'), employee('after')]);
    await watch.until(() => watch.responses.some(({ marker }) => marker?.runId === 'run-1'));
    expect(watch.changes().map(({ record }) => record?.id)).toEqual(['after']);
    expect(
      watch.responses.filter(({ marker }) => marker?.runId === 'run-1').map(({ marker }) => marker?.kind),
    ).toEqual([2]);
    await watch.stop();
  });

  it('are refused when no connection watched has a model asked for', async () => {
    const writer = await newWriter(harness);
    const watch = follow(harness, { connectionIds: [writer.connectionId], models: ['employees', 'jobs'] });
    expect(await watch.ended).toMatchObject({ reason: 'MODEL_NOT_FOUND' });
  });

  it("follow all of the tenant's connections, those made later included, and only the models asked for", async () => {
    const watch = follow(harness, { models: ['jobs'] });
    await watch.until(() => watch.responses.length > 0);
    const writer = await newWriter(harness, {
      employees: ['id', 'name', 'level'],
      jobs: ['id', 'name', 'level'],
    });
    await writer.full('employees', 'run-1', [employee('a')]);
    await writer.full('jobs', 'run-2', [employee('b')]);
    await watch.until(() => watch.changes().length > 0);
    await watch.stop();
    expect(watch.changes().map(({ record }) => [record?.connectionId, record?.model, record?.id])).toEqual([
      [writer.connectionId, 'jobs', 'b'],
    ]);
  });

  it('end with a typed error for a foreign cursor and when the connection is removed', async () => {
    const [writer, other] = [await newWriter(harness), await newWriter(harness)];
    const { cursor } = (await writer.records()).last;
    await expect(
      follow(harness, { connectionIds: [other.connectionId], cursors: [cursor] }).ended,
    ).resolves.toMatchObject({ reason: 'CURSOR_INVALID' });
    const watch = follow(harness, { connectionIds: [writer.connectionId] });
    await watch.until(() => watch.responses.length > 0);
    await removeAll(writer);
    await expect(watch.ended).resolves.toMatchObject({ reason: 'CONNECTION_NOT_FOUND' });
  });
});
