import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { expectDone, until, World } from './world.js';

// Runs that something holds up go on by themselves, and none goes in circles.

const COUNT = 60_000;
let world: World;

beforeAll(async () => {
  world = await World.start();
  // Its first sync is under way when the test begins.
  const rows = Array.from({ length: COUNT }, (_, i) => `e${i},${'x'.repeat(60)}\n`);
  await world.write('staff.csv', `id,name\n${rows.join('')}`);
  await world.connect({
    name: 'staff',
    connector: 'file',
    config: { path: world.exports, models: { staff: { file: 'staff.csv' } } },
    schedule: { fullInterval: '0s' },
  });
});
afterAll(() => world.stop());

const idOf = (stdout: string): string => /"id":\s*"([^"]+)"/.exec(stdout)?.[1] ?? '';

describe('a connection paused and resumed while it syncs', () => {
  it('leaves no run paused, and loses no record', async () => {
    const runId = idOf(expectDone(await world.run('sync', 'list', 'staff')).stdout);
    for (let turn = 0; turn < 2; turn++) {
      expectDone(await world.run('connections', 'pause', 'staff'));
      expectDone(await world.run('connections', 'resume', 'staff'));
    }
    expectDone(await world.run('sync', 'watch', runId));
    const run = expectDone(await world.run('sync', 'get', runId));
    expect(run.stdout).toContain('"state":"SUCCEEDED"');
    expect(run.stdout).toContain(`"created":${COUNT},"updated":0,`);
  });
});

describe('a run whose lease the store refuses, as after a restored control database', () => {
  it('is tried again in time, and succeeds when the store takes it', async () => {
    const client = await world.driver();
    try {
      const runs = client.db('tidemark_store').collection('runs');
      const [before] = await runs.find().toArray();
      await runs.updateMany({}, { $set: { epoch: Number.MAX_SAFE_INTEGER } });
      const runId = idOf(expectDone(await world.run('sync', 'run', 'staff', '--full')).stdout);
      await until(async () => /Tries again in/.test((await world.run('sync', 'get', runId)).stdout));
      await runs.updateMany({}, { $set: { epoch: before?.['epoch'] as unknown } });
      expectDone(await world.run('sync', 'watch', runId));
      expect((await world.run('sync', 'get', runId)).stdout).toContain(`"unchanged":${COUNT},`);
    } finally {
      await client.close();
    }
  });
});
