import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Run } from './run.js';
import { aRun } from './testing/a-run.js';
import { WaitingRuns } from './waiting-runs.js';

const LIMITS = { perTenant: 1, perConnector: 9 };
let made = 0;
const waiting = (connectionId: string): Run => aRun({ id: `run_${made++}`, connectionId });
const nobody = () => Promise.resolve([]);

let due: Run[];
let runs: WaitingRuns;
let now: number;
const started: string[] = [];

beforeEach(() => {
  due = [];
  now = 0;
  started.length = 0;
  jest.spyOn(performance, 'now').mockImplementation(() => now);
  runs = new WaitingRuns({ due: () => Promise.resolve(due) }, LIMITS);
});

afterEach(() => {
  jest.restoreAllMocks();
});

/** Looks, and takes so long. */
const look = (ms: number) =>
  runs.look(() => {
    now += ms;
    return Promise.resolve([]);
  });

const claimed = (): string[] => started.splice(0);
/** Starts those that may, but for `blocked`. */
const start = (slots = 9, blocked?: Run) =>
  runs.start(
    (run) => {
      if (run === blocked) return Promise.resolve(false);
      started.push(run.id);
      return Promise.resolve(true);
    },
    () => started.length + runs.claiming < slots,
  );

describe('runs that wait', () => {
  test('are looked at first, and again whenever nothing that was seen may start', async () => {
    expect([runs.needsLook, await start()]).toEqual([true, false]);
    await runs.look(nobody);
    expect([runs.needsLook, runs.nextLookMs]).toEqual([true, undefined]);
  });

  test('take the places of those that end, without a look, until one is due', async () => {
    const [a, b, c] = (due = [waiting('a'), waiting('b'), waiting('c')]);
    await look(10);
    expect(await start()).toBe(true);
    expect(claimed()).toEqual([a?.id]);
    expect(await start()).toBe(false);
    runs.ended(a ?? c ?? waiting('a'));
    expect([runs.needsLook, runs.nextLookMs]).toEqual([false, 250]);
    expect(await start()).toBe(true);
    expect(claimed()).toEqual([b?.id]);
    runs.ended(b ?? waiting('b'));
    now += 250;
    expect([runs.needsLook, await start()]).toEqual([true, false]);
  });

  test('that cannot start leave their places to others', async () => {
    const [a, b] = (due = [waiting('a'), waiting('b')]);
    await look(10);
    expect(await start(9, a)).toBe(true);
    expect(claimed()).toEqual([b?.id]);
  });

  test('are claimed together, but no more than there are slots', async () => {
    runs = new WaitingRuns({ due: () => Promise.resolve(due) }, { perTenant: 9, perConnector: 9 });
    due = ['a', 'b', 'c', 'd', 'e'].map(waiting);
    await look(10);
    expect(await start(3)).toBe(true);
    expect(claimed()).toHaveLength(3);
    const failing = runs.start(
      () => Promise.reject(new Error('gone')),
      () => true,
    );
    await expect(failing).rejects.toThrow('gone');
    expect(runs.claiming).toBe(0);
  });

  test('are looked at once others are asked for, but no more than half of the time', async () => {
    await look(40);
    runs.changed();
    expect([runs.needsLook, runs.isOutdated, runs.nextLookMs]).toEqual([false, true, 40]);
    now += 40;
    expect(runs.needsLook).toBe(true);
    await look(1);
    expect(runs.isOutdated).toBe(false);
  });

  test('are looked at again if one ended meanwhile, for it may have been counted', async () => {
    const run = waiting('a');
    due = [run];
    await runs.look(() => {
      runs.ended(run);
      return Promise.resolve([run]);
    });
    expect([await start(), runs.isOutdated]).toEqual([false, true]);
  });
});
