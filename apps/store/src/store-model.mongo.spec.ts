import { afterAll, beforeAll, describe, it } from '@jest/globals';
import fc from 'fast-check';
import { testDatabase, type TestDatabase } from '../../../jest/database.js';
import { startStore, type StoreHarness } from './testing/harness.js';
import { action } from './testing/model-actions.js';
import { ModelWorld } from './testing/model-world.js';

const RUNS = process.env['TIDEMARK_LONG'] === '1' ? 100 : 5;

let database: TestDatabase;
let stores: [StoreHarness, StoreHarness];
const stopping: Promise<void>[] = [];
let worlds = 0;

beforeAll(async () => {
  database = await testDatabase();
  stores = [await startStore(database), await startStore(database)];
});
afterAll(async () => {
  await Promise.all([...stopping, ...stores.map((store) => store.stop())]);
  await database.drop();
});

async function play(actions: Parameters<ModelWorld['act']>[0][]): Promise<void> {
  const world = await ModelWorld.create(database, stores, `world-${worlds++}`);
  try {
    for (const each of actions) await world.act(each);
    await world.verify();
  } finally {
    await world.stop();
    stopping.push(...world.stopping);
  }
}

describe('a store of two processes on one database', () => {
  it(
    'keeps its promises under any interleaving of writers, take-overs, restarts and readers',
    async () => {
      const seed = Number(process.env['TIDEMARK_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
      process.stdout.write(`store model: seed ${seed}, repeat with TIDEMARK_SEED=${seed}\n`);
      const stories = fc.array(action, { minLength: 60, maxLength: 120 });
      await fc.assert(fc.asyncProperty(stories, play), { numRuns: RUNS, seed });
    },
    RUNS * 60_000,
  );
});
