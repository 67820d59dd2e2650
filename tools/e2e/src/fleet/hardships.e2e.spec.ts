import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MODEL } from './fleet.js';
import { IS_LONG } from '../long.js';
import { Outage } from './outage.js';
import { SickWard, summaryOf } from './sick-ward.js';

// What befalls clusters that are left to themselves: the second is watched while the first can do nothing but wait.
// - The database is away for a minute or more while sources change and syncs are under way. Nobody touches the services; when it is back,
//   everything goes on by itself, and nothing is lost.
// - Of 20 sources one says nothing any more, one takes ages for each page and one answers nothing but errors; beside them, the process
//   of another connector is gone. One scheduler has to deal with all of them within its default limits: the others keep their intervals.

const AWAY_MS = 60_000;
const KINDS = IS_LONG ? (['killed', 'frozen'] as const) : (['killed'] as const);
/** Beside other tests everything is late by itself. */
const LATEST_SHARE = IS_LONG ? 1.1 : 2;
const outages = new Map<(typeof KINDS)[number], Outage>();
let ward: SickWard;
const say = (line: string) => process.stdout.write(`hardships: ${line}\n`);

beforeAll(async () => {
  for (const kind of KINDS) outages.set(kind, await Outage.start());
  await Promise.all([...outages].map(([kind, outage]) => outage.begin(kind)));
  const away = sleep(AWAY_MS);
  ward = await SickWard.start();
  await ward.watch();
  await away;
  await Promise.all([...outages.values()].map((outage) => outage.end()));
  for (const [kind, outage] of outages) say(`${kind}: ${await outage.summary()}`);
}, 600_000);
afterAll(async () => {
  for (const outage of outages.values()) await outage.stop();
  await ward.stop();
}, 120_000);

describe.each(KINDS)('a database that is %s for a minute or more', (kind) => {
  let outage: Outage;

  beforeAll(() => {
    const found = outages.get(kind);
    if (found === undefined) throw new Error('there was no such outage');
    outage = found;
  });

  // Each has synced again and again since it was back, or `happen` would have failed.
  it('leaves every process alive', () => {
    expect(outage.fleet.cluster.deaths).toEqual([]);
  });

  it('loses and repeats no change', async () => {
    const { fleet, witnesses } = outage;
    for (const { plan, source } of fleet.mirrors) {
      const truth = await source.truth(MODEL);
      const witness = witnesses.get(plan.id);
      expect(await witness?.stored()).toEqual(truth);
      await witness?.expectTrue(truth);
    }
  }, 120_000);

  it('fails no run', async () => {
    const runs = [...(await outage.fleet.runs()).values()].flat();
    const states = new Set(runs.map(({ state }) => state));
    expect([...states].filter((state) => !['SUCCEEDED', 'WAITING', 'RUNNING'].includes(state))).toEqual([]);
  });
});

describe('a dead, a slow and a failing source, and a dead connector', () => {
  it('leave the other 17 their intervals', () => {
    const { before, beside } = ward;
    say(`before the sick ones ${told(before)}; beside them ${told(beside)}`);
    expect(beside).toHaveLength(17);
    // Intervals are shorter by up to a tenth, and never longer, so that connections drift apart.
    expect(Math.min(...beside)).toBeGreaterThanOrEqual(0.85);
    // What the machine's load adds, it added before, too.
    const shares = beside.map((share, index) => share / Math.max(1, before[index] ?? NaN));
    expect(Math.max(...shares)).toBeLessThanOrEqual(LATEST_SHARE);
  });

  it('show in their status, and nowhere else', async () => {
    const failing = await ward.statusOnce('failing', ({ breaker, models }) => {
      return breaker !== 'CLOSED' && summaryOf(models).includes('down');
    });
    expect(failing).toMatchObject({ connectorBreaker: 'CLOSED', nextProbeTime: expect.any(Date) });
    const orphaned = await ward.statusOnce('orphaned', ({ connectorBreaker, models }) => {
      return connectorBreaker !== 'CLOSED' && /cannot be reached|is down/.test(summaryOf(models));
    });
    expect(orphaned).toMatchObject({ breaker: 'CLOSED', nextProbeTime: expect.any(Date) });
    await ward.statusOnce('dead', ({ models }) => summaryOf(models).includes('Read 0 records so far'));
    await ward.statusOnce('slow', ({ models }) => /Read \d+ of 50 records so far/.test(summaryOf(models)));
    for (const {
      plan: { id },
    } of ward.healthy) {
      const { breaker, connectorBreaker } = await ward.status(id);
      expect({ id, breaker, connectorBreaker }).toEqual({
        id,
        breaker: 'CLOSED',
        connectorBreaker: 'CLOSED',
      });
    }
  }, 60_000);
});

function told(shares: readonly number[]): string {
  return `median ${median(shares).toFixed(3)}, worst ${Math.max(...shares).toFixed(3)}`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
