import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ControlDatabase } from './mongo-collections.js';
import { RunMoves } from './mongo-run-moves.js';
import { MongoRuns } from './mongo-runs.js';
import { aRun } from './testing/a-run.js';
import { testControlDatabase } from './testing/control-database.js';

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let db: ControlDatabase;

beforeAll(async () => {
  database = await testControlDatabase();
  db = database.db;
});
afterAll(() => database.drop());

test('the states that runs come into are told, whoever moves them, and no other change is', async () => {
  const runs = new MongoRuns(db);
  const seen: string[] = [];
  const errors: unknown[] = [];
  const moves = new RunMoves(db, {
    onMove: (run, state) => seen.push(`${run} ${state}`),
    onError: (error) => errors.push(error),
  });
  moves.start();
  const until = async (event: string) => {
    while (!seen.includes(event)) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  // The stream tells what happens once it is open: others are asked for until one is seen.
  for (let i = 0; seen.length === 0; i++) {
    await runs.request(aRun({ id: `run_${i}`, connectionId: `first-${i}` }));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const run = await runs.request(aRun({ id: 'run_x' }));
  const running = await runs.start(run, 1, new Date());
  if (running === undefined) throw new Error('it does not start');
  await runs.progress(running, { note: 'half of it' });
  await runs.progress(running, { state: 'SUCCEEDED' });
  await until('run_x SUCCEEDED');
  await moves.stop();
  expect(seen.filter((event) => event.startsWith('run_x'))).toEqual([
    'run_x WAITING',
    'run_x RUNNING',
    'run_x SUCCEEDED',
  ]);
  expect(errors).toEqual([]);
});
