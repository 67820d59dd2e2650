import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ConnectionStatus, ModelStatus } from '@tidemark/contracts';
import { eventually } from '../chaos/patience.js';
import { Fleet, type Mirror, type MirrorPlan } from './fleet.js';
import { intervals } from './kept-runs.js';

// Of 20 sources one says nothing any more, one takes ages for each page and one answers nothing but errors; beside them, the process of
// another connector is gone. One scheduler has to deal with all of them within its default limits: the other 17 keep their intervals.

const { TIDEMARK_LONG } = process.env;
const INTERVAL_S = 6;
/** Intervals that each of the 17 is watched for, before and beside the sick ones. */
const [BEFORE, BESIDE] = TIDEMARK_LONG === '1' ? [10, 60] : [3, 8];
const SHAPE = { schedulers: 1, stores: 1, connectors: ['living', 'doomed'] };
const plan = (id: string, connector = 'living'): MirrorPlan => ({
  id,
  connector,
  fullEvery: INTERVAL_S,
  deltaEvery: 0,
  records: 50,
  behaviour: { pageSize: 25 },
});
const well = Array.from({ length: 17 }, (_, index) => plan(`well-${index}`));
const sick = [plan('dead'), plan('slow'), plan('failing'), plan('orphaned', 'doomed')].map((each) => ({
  ...each,
  withoutSync: true,
}));

let fleet: Fleet;
let healthy: Mirror[];
/** The mean interval of each of the 17, as a share of what was set. */
let before: number[];
let beside: number[];

beforeAll(async () => {
  fleet = await Fleet.start(SHAPE);
  healthy = await fleet.add(well);
  await fleet.stir(1_000, ['put', 'edit', 'delete', 'restore']);
  await fleet.untilSynced(new Date(0), 2);
  before = await watch(BEFORE);
  await letInSick();
  beside = await watch(BESIDE);
}, 600_000);
afterAll(() => fleet.stop(), 60_000);

describe('a dead, a slow and a failing source, and a dead connector', () => {
  it('leave the other 17 their intervals', () => {
    // What the machine's load adds, it added before, too.
    const shares = beside.map((share, index) => share / Math.max(1, before[index] ?? NaN));
    process.stdout.write(
      `sick sources: before ${told(before)}; beside them ${told(beside)}; ${told(shares)}\n`,
    );
    expect(shares).toHaveLength(17);
    // Intervals are shorter by up to a tenth, and never longer, so that connections drift apart.
    expect(Math.min(...shares)).toBeGreaterThanOrEqual(0.85);
    expect(Math.max(...shares)).toBeLessThanOrEqual(1.1);
  });

  it('show in their status, and nowhere else', async () => {
    const failing = await statusOnce('failing', ({ breaker, models }) => {
      return breaker !== 'CLOSED' && tell(models).includes('down');
    });
    expect(failing).toMatchObject({ connectorBreaker: 'CLOSED', nextProbeTime: expect.any(Date) });
    const orphaned = await statusOnce('orphaned', ({ connectorBreaker, models }) => {
      return connectorBreaker !== 'CLOSED' && /cannot be reached|is down/.test(tell(models));
    });
    expect(orphaned).toMatchObject({ breaker: 'CLOSED', nextProbeTime: expect.any(Date) });
    await statusOnce('dead', ({ models }) => tell(models).includes('Read 0 records so far'));
    await statusOnce('slow', ({ models }) => /Read \d+ of 50 records so far/.test(tell(models)));
    for (const {
      plan: { id },
    } of healthy) {
      const { breaker, connectorBreaker } = await status(id);
      expect({ id, breaker, connectorBreaker }).toEqual({
        id,
        breaker: 'CLOSED',
        connectorBreaker: 'CLOSED',
      });
    }
  }, 60_000);
});

/** Those that are sick before their first sync. */
async function letInSick(): Promise<void> {
  await fleet.add(sick);
  const source = (id: string) => fleet.cluster.living('living').source(id);
  await source('dead').fail({ kind: 'hang', times: 0 });
  await source('slow').behave({ pageSize: 5, pageDelayMs: 2_500 });
  await source('failing').fail({ kind: 'unavailable', times: 0 });
  fleet.cluster.kill('doomed');
}

/** Watches each of the 17 for so many intervals from now on; gives back their means, as shares of what was set. */
async function watch(count: number): Promise<number[]> {
  const since = new Date();
  await fleet.untilSynced(since, count + 1, healthy);
  const runs = await fleet.runs();
  return well.map(({ id }) => {
    const own = intervals(runs.get(`${id} FULL`) ?? [], since).slice(0, count);
    return own.reduce((sum, ms) => sum + ms, 0) / own.length / (INTERVAL_S * 1_000);
  });
}

async function status(connectionId: string): Promise<ConnectionStatus> {
  const { connections } = await fleet.cluster.api.connections.getStatus({ connectionId });
  const [found] = connections;
  if (found === undefined) throw new Error(`${connectionId} has no status`);
  return found;
}

function statusOnce(id: string, is: (status: ConnectionStatus) => boolean): Promise<ConnectionStatus> {
  return eventually(
    async () => {
      const found = await status(id);
      return is(found) ? found : undefined;
    },
    async () => {
      const { breaker, connectorBreaker, models } = await status(id);
      return `${id}: ${breaker}, ${connectorBreaker}, ${tell(models)}`;
    },
  );
}

function tell(models: readonly ModelStatus[]): string {
  return models.map(({ lastRunSummary }) => lastRunSummary).join();
}

function told(shares: readonly number[]): string {
  return `median ${median(shares).toFixed(3)}, worst ${Math.max(...shares).toFixed(3)}`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
