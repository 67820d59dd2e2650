import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { testDatabase, type TestDatabase } from '../../../jest/database.js';
import { story, type Action } from './testing/model-actions.js';
import { CrashCounts } from './testing/model-crash-plan.js';
import { verify } from './testing/model-ending.js';
import { ModelStores } from './testing/model-stores.js';
import { ModelWorld } from './testing/model-world.js';

const { TIDEMARK_RUNS, TIDEMARK_LONG, TIDEMARK_SEED, TIDEMARK_PATH } = process.env;
/** Stories; fewer than these may miss one of the places to crash at. */
const ENOUGH_RUNS = 500;
const RUNS = Number(TIDEMARK_RUNS ?? (TIDEMARK_LONG === '1' ? 5_000 : ENOUGH_RUNS));
const SEED = Number(TIDEMARK_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** Stories at a time, each on two stores and a database of its own: one waits for the disk while another computes. */
const LANES = 4;
/** Further lanes of so many stories, one after the other, are played as long as there is a place where no process was killed. */
const FURTHER_RUNS = 25;
const MOST_LANES = 12;

const crashes = new CrashCounts();
const databases: TestDatabase[] = [];
let worlds = 0;

afterAll(async () => {
  await Promise.all(databases.map((database) => database.drop()));
});

async function play(stores: ModelStores, actions: readonly Action[]): Promise<void> {
  const world = await ModelWorld.create(stores, `world-${worlds++}`);
  try {
    for (const each of actions) await world.act(each);
    await verify(world);
  } finally {
    await world.watcher.stop();
  }
}

/** Plays stories one after the other; each lane has a seed of its own. */
async function runLane(lane: number, numRuns: number): Promise<void> {
  const database = await testDatabase();
  databases.push(database);
  const stores = await ModelStores.start(database, crashes);
  const path = TIDEMARK_PATH === undefined ? {} : { path: TIDEMARK_PATH };
  try {
    await fc.assert(
      fc.asyncProperty(story, (actions) => play(stores, actions)),
      { numRuns, seed: SEED + lane, ...path },
    );
  } finally {
    await stores.stop();
  }
}

describe('a store of two processes on one database', () => {
  it(
    'keeps its promises under any interleaving of writers, take-overs, crashes, scope changes and readers',
    async () => {
      const began = performance.now();
      process.stdout.write(`store model: ${RUNS} stories, seed ${SEED}; repeat with TIDEMARK_SEED=${SEED}\n`);
      const lanes = TIDEMARK_PATH === undefined ? LANES : 1;
      await Promise.all(
        Array.from({ length: lanes }, (_, lane) => runLane(lane, Math.ceil((RUNS - lane) / lanes))),
      );
      const seconds = Math.round((performance.now() - began) / 1_000);
      process.stdout.write(`store model: ${worlds} stories in ${seconds} s; killed ${crashes.summary}\n`);
      if (RUNS < ENOUGH_RUNS || TIDEMARK_PATH !== undefined) return;
      // Where crashes land is chance: a place that was missed is sought with a few stories more.
      for (let lane = lanes; lane < MOST_LANES && crashes.missed.length > 0; lane++)
        await runLane(lane, FURTHER_RUNS);
      expect(crashes.missed).toEqual([]);
    },
    60_000 + RUNS * 10_000,
  );
});
