import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { isSame, Replay, stored } from './replay.js';
import type { Changing } from './source/deed.js';
import type { LivingSourceControl } from './source/living-client.js';
import { expectDone, until, World } from './world.js';

// Sources that change ten times a second, with a delta every 2 s, while full syncs go on.

const RECORDS = 1_500;
const PROMPT: Changing['kinds'] = ['put', 'edit', 'edit', 'delete', 'restore', 'tie'];
const HOUR_MS = 3_600_000;

let world: World;

beforeAll(async () => {
  world = await World.start({ living: true });
});
afterAll(() => world.stop());

const initial = Array.from({ length: RECORDS }, (_, i) => ({
  id: `r-${String(i).padStart(5, '0')}`,
  fields: { text: `first ${i}` },
}));

async function connect(name: string, behaviour: object): Promise<LivingSourceControl> {
  const source = world.living.source(name);
  await source.behave({ pageSize: 100, pageDelayMs: 5, ...behaviour });
  await source.fill('staff', initial);
  await world.connect({
    name,
    connector: 'living',
    config: { source: name },
    schedule: { fullInterval: '0s', deltaInterval: '2s' },
  });
  expectDone(await world.sync(name));
  return source;
}

/** A delta that begins now, waited for. */
async function delta(name: string): Promise<void> {
  expectDone(await world.run('sync', 'run', name, '--wait'));
}

async function deltasOf(source: LivingSourceControl): Promise<number> {
  return (await source.reads()).filter(({ sync }) => sync === 'DELTA').length;
}

/** A connection's runs, the newest first. */
async function runsOf(name: string): Promise<Record<string, unknown>[]> {
  const { objects } = expectDone(await world.run('sync', 'list', name));
  const runs = objects.flatMap((object) => (object['runs'] ?? [object]) as Record<string, unknown>[]);
  return runs.sort((a, b) => (String(a['id']) < String(b['id']) ? 1 : -1));
}

async function lastFull(name: string): Promise<Record<string, unknown>> {
  return (await runsOf(name)).find(({ kind }) => kind === 'FULL') ?? {};
}

interface Case {
  readonly name: string;
  readonly behaviour: object;
  readonly kinds: NonNullable<Changing['kinds']>;
}

const CASES: readonly Case[] = [
  { name: 'level', behaviour: {}, kinds: PROMPT },
  { name: 'ahead', behaviour: { clockOffsetMs: HOUR_MS }, kinds: PROMPT },
  { name: 'behind', behaviour: { clockOffsetMs: -HOUR_MS }, kinds: PROMPT },
  { name: 'coarse', behaviour: { granularityMs: 1_000 }, kinds: PROMPT },
  { name: 'late', behaviour: {}, kinds: [...PROMPT, 'late'] },
];

/** Lets a source change all the time under deltas and a full sync of some seconds, and looks at what came of it. */
async function live(source: LivingSourceControl, { name, behaviour, kinds }: Case): Promise<void> {
  const replay = await Replay.start(world, name);
  await source.keepChanging('staff', { everyMs: 100, kinds: [...kinds] });
  await source.behave({ pageSize: 100, pageDelayMs: 400, ...behaviour });
  await moreDeltas(source);
  expectDone(await world.sync(name));
  const { state, certificate, effort } = await lastFull(name);
  expect({ state, certificate }).toMatchObject({
    state: 'SUCCEEDED',
    certificate: { certified: true, uniqueIds: true },
  });
  expect((effort as { yields: number }).yields).toBeGreaterThan(0);
  await moreDeltas(source);
  await source.stopChanging('staff');
  await source.behave({ pageSize: 100, ...behaviour });
  await delta(name);
  const truth = await source.truth('staff');
  // What a source gives out late, only the full sync brings for certain.
  if (!kinds.includes('late')) expect(await stored(world, name)).toEqual(truth);
  expectDone(await world.sync(name));
  expect(await stored(world, name)).toEqual(truth);
  await replay.settle(truth);
  expectDone(await world.run('connections', 'pause', name));
}

/** Waits until the schedule has brought two more deltas. */
async function moreDeltas(source: LivingSourceControl): Promise<void> {
  const before = await deltasOf(source);
  await until(async () => (await deltasOf(source)) >= before + 2);
}

describe('sources that change all the time', () => {
  const ends = new Map<string, PromiseSettledResult<void>>();

  // All at once, for they mostly wait.
  beforeAll(async () => {
    const sources: LivingSourceControl[] = [];
    for (const { name, behaviour } of CASES) sources.push(await connect(name, behaviour));
    const runs = sources.map((source, index) => live(source, CASES[index] as Case));
    for (const [index, end] of (await Promise.allSettled(runs)).entries())
      ends.set(CASES[index]?.name ?? '', end);
  }, 240_000);

  it.each(CASES)(
    'are mirrored by deltas that full syncs let go first, and no record goes back: $name',
    ({ name }) => {
      expect(ends.get(name)).toEqual({ status: 'fulfilled', value: undefined });
    },
  );
});

describe('changes that a source gives out late', () => {
  it('are brought by the next full sync, and then deltas read further back by themselves', async () => {
    const source = await connect('tardy', {});
    await delta('tardy');
    const agoMs = 600_000;
    const [first, second] = [initial[0]?.id ?? '', initial[1]?.id ?? ''];
    await source.change('staff', [
      { id: 'new', fields: { text: 'late' }, agoMs },
      { id: first, fields: { text: 'late' }, agoMs },
      { id: second, deleted: true, agoMs },
    ]);
    await delta('tardy');
    expect(isSame(await stored(world, 'tardy'), await source.truth('staff'))).toBe(false);
    expectDone(await world.sync('tardy'));
    expect(await stored(world, 'tardy')).toEqual(await source.truth('staff'));
    const { discrepancies } = await lastFull('tardy');
    const { ids, ...counts } = discrepancies as Record<string, unknown>;
    expect([...(ids as string[])].sort()).toEqual(['new', first, second].sort());
    expect(counts).toEqual({ created: 1, updated: 1, deleted: 1 });

    await delta('tardy');
    const checked = (await runsOf('tardy')).find((run) => run['lateArrivals'] !== undefined);
    const late = checked?.['lateArrivals'] as { count: string; ids: string[] };
    expect({ ...late, ids: late.ids.toSorted() }).toEqual({ count: 3, ids: ['new', first, second].sort() });
    expect(checked?.['summary']).toContain('3 changes before it came late from the source');
    const status = expectDone(await world.run('status', 'tardy')).stdout;
    expect(status).toMatch(/"deltaOverlap":\s*"60s"/);
    expect(status).toContain('reads 1 min further back, for changes came late');
    await source.change('staff', [{ id: 'newer', fields: { text: 'late' }, agoMs: 40_000 }]);
    await delta('tardy');
    expect(await stored(world, 'tardy')).toEqual(await source.truth('staff'));
  });
});

describe('a living source that is killed in the middle of a full sync', () => {
  it('comes back with all it held, and the sync goes on', async () => {
    const source = await connect('mortal', {});
    await source.keepChanging('staff', { everyMs: 100, kinds: PROMPT });
    await source.fail({ kind: 'crash', sync: 'FULL', page: 7 });
    const full = world.sync('mortal');
    await until(async () => (await source.faults().catch(() => undefined)) === undefined);
    await world.living.up();
    expectDone(await full);
    await source.stopChanging('staff');
    await delta('mortal');
    expect(await stored(world, 'mortal')).toEqual(await source.truth('staff'));
  });
});
