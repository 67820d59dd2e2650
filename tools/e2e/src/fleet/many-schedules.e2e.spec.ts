import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../chaos/patience.js';
import { storedRecords } from '../chaos/change-watch.js';
import { Fleet, inParallel, keysOf, MODEL, type MirrorPlan } from './fleet.js';
import { IS_LONG } from '../long.js';
import { timingFaults, type KeptRun } from './kept-runs.js';

// Three schedulers share many schedules while they are restarted one after the other, and one is killed: each sync comes when it is
// due, once, and none is forgotten.

const CONNECTIONS = IS_LONG ? 500 : 150;
const INTERVAL_S = IS_LONG ? 30 : 12;
const LOOK_EVERY_MS = 300;
const ROUNDS = IS_LONG ? 5 : 1;
/** Intervals are up to a tenth shorter than they were set. */
const SHORTEST_MS = INTERVAL_S * 1_000 * 0.9;
const SCHEDULERS = ['scheduler-1', 'scheduler-2', 'scheduler-3'];
const SHAPE = {
  schedulers: SCHEDULERS.length,
  stores: 1,
  connectors: ['living'],
  // One tenant has all of them.
  scheduling: { TIDEMARK_RUNS_PER_TENANT: '36', TIDEMARK_RUNS_PER_CONNECTOR: '36' },
};
const plans = Array.from({ length: CONNECTIONS }, (_, index): MirrorPlan => {
  const isFull = index % 5 > 0;
  return {
    id: `c-${String(index).padStart(3, '0')}`,
    fullEvery: isFull ? INTERVAL_S : 0,
    deltaEvery: isFull ? 0 : INTERVAL_S,
    records: 10,
    behaviour: { pageSize: 5 },
    // A delta goes on from where a full sync ended.
    withoutSync: isFull,
  };
});

let fleet: Fleet;
const say = (line: string) => process.stdout.write(`schedules: ${line}\n`);
const began = performance.now();
const at = () => `${((performance.now() - began) / 1_000).toFixed(1)} s`;

beforeAll(async () => {
  fleet = await Fleet.start(SHAPE);
  say(`up after ${at()}`);
  await fleet.add(plans);
  say(`connected after ${at()}`);
  await fleet.stir(5_000, ['put', 'edit', 'delete', 'restore']);
}, 240_000);
afterAll(() => fleet.stop(), 60_000);

describe(`${CONNECTIONS} schedules of three schedulers`, () => {
  it('go on while one scheduler after the other is restarted, and one killed', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      for (const name of SCHEDULERS) {
        await fleet.cluster.end(name);
        await fleet.cluster.launch(name);
        await untilFurther(CONNECTIONS / 8);
        say(`${name} restarted after ${at()}`);
      }
      fleet.cluster.kill('scheduler-2');
      await untilFurther(CONNECTIONS / 8);
      await fleet.cluster.launch('scheduler-2');
    }
    say(`restarts over after ${at()}`);
    await fleet.calm();
    await fleet.untilSynced(new Date(), IS_LONG ? 3 : 1);
    say(`calm and synced after ${at()}`);
    expect(fleet.cluster.deaths).toEqual([]);
  }, 600_000);

  it('leave every store as its source', async () => {
    const compared = fleet.mirrors.filter((_, index) => IS_LONG || index % 4 === 0);
    await inParallel(compared, async ({ plan, source }) => {
      const stored = await storedRecords(fleet.cluster.api, plan.id);
      expect(stored).toEqual(await source.truth(MODEL));
    });
    say(`compared after ${at()}`);
  }, 60_000);

  it('leave nothing half-done when the schedulers end', async () => {
    for (const name of SCHEDULERS) await fleet.cluster.end(name);
    const runs = [...(await fleet.runs()).values()].flat();
    const states = new Set(runs.map(({ state }) => state));
    expect([...states].filter((state) => state !== 'SUCCEEDED' && state !== 'WAITING')).toEqual([]);
  }, 60_000);

  it('ran none twice at a time, and none before it was due', async () => {
    const runs = await fleet.runs();
    expect([...runs].flatMap(([key, own]) => timingFaults(key, own, SHORTEST_MS))).toEqual([]);
  });

  it('starved none', async () => {
    const runs = await fleet.runs();
    for (const kind of ['FULL', 'DELTA']) {
      const keys = plans.flatMap(keysOf).filter((key) => key.endsWith(kind));
      const counts = keys.map((key) => runs.get(key)?.length ?? 0);
      const [least, most] = [Math.min(...counts), Math.max(...counts)];
      say(`${kind}: ${least} to ${most} runs a schedule`);
      // One more or less, for where the end fell between two.
      expect(least).toBeGreaterThanOrEqual(most / 2 - 1);
    }
  });

  it('read each source for a run of it, and not more often than that', async () => {
    const runs = await fleet.runs();
    const faults = await inParallel(fleet.mirrors, async ({ plan, source }) => {
      const own = [...(runs.get(`${plan.id} FULL`) ?? []), ...(runs.get(`${plan.id} DELTA`) ?? [])];
      const reads = await source.reads();
      const unowned = reads.filter((read) => !own.some((run) => isOf(read, run)));
      const repeated = own.filter((run) => reads.filter((read) => isOf(read, run)).length > run.attempts);
      return [...unowned, ...repeated].map((fault) => `${plan.id}: ${JSON.stringify(fault)}`);
    });
    expect(faults.flat()).toEqual([]);
  }, 60_000);
});

/** Whether a read was made for a run. */
function isOf(read: { sync: string; startTime: number }, { kind, startTime, endTime }: KeptRun): boolean {
  const [from, to] = [startTime?.getTime() ?? Infinity, endTime?.getTime() ?? Infinity];
  return read.sync === kind && read.startTime >= from && read.startTime <= to;
}

/** Waits until so many more runs have ended. */
async function untilFurther(count: number): Promise<void> {
  const runs = fleet.driver.db('tidemark_control').collection('runs');
  const ended = () => runs.countDocuments({ state: 'SUCCEEDED' });
  const before = await ended();
  await eventually(
    async () => (await ended()) >= before + count || undefined,
    async () => `only ${(await ended()) - before} of ${count} further runs ended`,
    { pauseMs: LOOK_EVERY_MS },
  );
}
