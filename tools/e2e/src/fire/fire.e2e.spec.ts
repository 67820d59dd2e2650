import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CommitDelays } from './commit-delays.js';
import { faultsOf } from './faults.js';
import { Fire } from './fire.js';
import { judge, newest, type Verdict } from './judge.js';
import { NAIVE_APP, NaivePair } from './naive.js';
import { StoreProcesses } from './store-processes.js';

// Commits land late and in any order, up to 2 s after all that they write was written: no reader misses a change, none gets one twice.

const WRITES = 50_000;
const MOST_ROUNDS = 10;
const FINE = { missed: 0, repeated: 0, late: 0, wrong: 0 };

let stores: StoreProcesses;

beforeAll(async () => {
  stores = await StoreProcesses.start(2);
});
afterAll(() => stores.stop());

describe('under fire', () => {
  it('no reader of the store misses a change or is given one twice', async () => {
    const [first, second] = stores.all;
    if (!first || !second) throw new Error('two stores were asked for');
    const fire = new Fire(stores, first, second);
    const began = performance.now();
    await fire.run(WRITES);
    const [steady] = fire.followers;
    const written = steady?.changes ?? [];
    const verdicts = fire.pollers.map(({ kind, polls }) => [kind, judge(written, polls)] as const);
    await print(fire, verdicts, performance.now() - began);

    expect(fire.followers.flatMap((follower) => faultsOf(follower, fire.writers).slice(0, 10))).toEqual([]);
    expect(written).toHaveLength(WRITES);
    for (const [kind, verdict] of verdicts) {
      expect([kind, verdict]).toEqual([kind, expect.objectContaining(FINE)]);
      if (kind !== 'wall clock') expect(verdict.overlapped).toBe(0);
      expect(verdict.polls).toBeGreaterThan(10);
    }
    expect(newest(await fire.stored())).toEqual(newest(written));
    expect(fire.delays.longest).toBeGreaterThan(0);
    expect(stores.troubles).toEqual([]);
  }, 600_000);

  it('a reader by a naive cursor misses changes, and the same judge tells', async () => {
    const pair = await NaivePair.start(stores.mongo.uri);
    const delays = new CommitDelays(stores.client, NAIVE_APP);
    delays.start();
    let verdict: Verdict | undefined;
    try {
      for (let round = 0; round < MOST_ROUNDS && !verdict?.missed; round++) {
        await pair.run(16, 20, 10);
        verdict = judge(pair.written, pair.polls);
      }
    } finally {
      await delays.stop();
      await pair.close();
    }
    say(`naive cursor: ${pair.written.length} writes, ${delays.count} delays, ${JSON.stringify(verdict)}`);
    expect(verdict?.missed).toBeGreaterThan(0);
    expect(verdict).toMatchObject({ late: 0, repeated: 0, wrong: 0 });
  }, 300_000);
});

async function print(
  fire: Fire,
  verdicts: readonly (readonly [string, Verdict])[],
  ms: number,
): Promise<void> {
  const status = await stores.client.db('admin').command({ serverStatus: 1 });
  const { totalCommitted, totalAborted } = status['transactions'] as Record<string, number>;
  const sum = (of: 'writes' | 'pages' | 'resent') =>
    fire.writers.reduce((total, writer) => total + writer[of], 0);
  say(
    `${sum('writes')} writes in ${sum('pages')} pages (${sum('resent')} sent again), ` +
      `${totalCommitted} transactions (${totalAborted} aborted), ` +
      `${await stores.db.collection('commits').countDocuments()} log entries, ` +
      `${fire.delays.count} delays (${fire.delays.longest} of 2 s), ${Math.round(ms / 1000)} s`,
  );
  for (const [kind, verdict] of verdicts) say(`${kind}: ${JSON.stringify(verdict)}`);
  for (const { kind, refused } of fire.pollers) if (refused > 0) say(`${kind}: ${refused} polls refused`);
  for (const { changes, late, resumed } of fire.followers)
    say(`follower: ${changes.length} changes, ${late} late, ${resumed} times resumed`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
