import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { expectDone, until, World } from './world.js';

// Connections sync by themselves, tell when and why, and go on after a crash.

let world: World;

beforeAll(async () => {
  world = await World.start();
  await world.write('staff.csv', 'id,name\ne1,Ada\n');
  const config = { path: world.exports, models: { staff: { file: 'staff.csv' } } };
  await world.connect({ name: 'often', connector: 'file', config, schedule: { fullInterval: '1s' } });
  await world.connect({ name: 'seldom', connector: 'file', config });
});
afterAll(() => world.stop());

const runsOf = async (connection: string): Promise<string[]> =>
  expectDone(await world.run('sync', 'list', connection)).stdout.match(/"trigger":\s*"[A-Z]+"/g) ?? [];

describe('connections left to themselves', () => {
  it('sync when their interval is over, and not before', async () => {
    await until(async () => (await runsOf('often')).length >= 4);
    expect(await runsOf('seldom')).toHaveLength(1);
  });

  it('tell what comes next, when and why', async () => {
    const { stdout } = expectDone(await world.run('status', 'seldom'));
    expect(stdout).toMatch(/"nextFullReason":\s*"full every 3 h, last started [0-9:]{8} UTC"/);
  });

  it('go on after the scheduler was killed', async () => {
    world.kill('scheduler');
    await world.down();
    await world.up();
    const count = (await runsOf('often')).length;
    await until(async () => (await runsOf('often')).length >= count + 3);
    expect(await runsOf('seldom')).toHaveLength(1);
  });

  it('stop while they are paused, say so, and go on when they are resumed', async () => {
    expectDone(await world.run('connections', 'pause', 'often'));
    const { stdout } = expectDone(await world.run('status', 'often'));
    expect(stdout).toContain('the connection is paused');
    const count = (await runsOf('often')).length;
    expectDone(await world.run('connections', 'resume', 'often'));
    await until(async () => (await runsOf('often')).length > count);
  });
});
