import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Witness } from '../chaos/witness.js';
import { Fleet, MODEL } from './fleet.js';
import { startOf } from './kept-runs.js';

// The database is away for a minute while sources change and syncs are under way: its process is killed, or stands still with all
// connections to it open. Nobody touches the services; when it is back, everything goes on by itself, and nothing is lost.

const { TIDEMARK_LONG } = process.env;
const KINDS = ['killed', 'frozen'] as const;
const AWAY_MS = 60_000;
const MIRRORS = TIDEMARK_LONG === '1' ? 40 : 4;
const SHAPE = { schedulers: 2, stores: 1, connectors: ['living'] };
const plans = Array.from({ length: MIRRORS }, (_, index) => ({
  id: `sea-${index}`,
  fullEvery: 8,
  deltaEvery: 2,
  records: 500,
  behaviour: { pageSize: 100, pageDelayMs: 50 },
}));

/** A fleet whose database goes away and comes back. */
class Outage {
  private constructor(
    readonly fleet: Fleet,
    readonly witnesses: ReadonlyMap<string, Witness>,
  ) {}

  static async start(): Promise<Outage> {
    const fleet = await Fleet.start(SHAPE);
    await fleet.add(plans);
    await fleet.stir(50, ['put', 'edit', 'edit', 'delete', 'restore', 'tie']);
    const { api } = fleet.cluster;
    const witnesses = plans.map(({ id }) => [id, new Witness(api, fleet.driver, id)] as const);
    return new Outage(fleet, new Map(witnesses));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.witnesses.values()].map((witness) => witness.stop()));
    await this.fleet.stop();
  }

  async happen(kind: (typeof KINDS)[number]): Promise<void> {
    const { fleet } = this;
    const { cluster } = fleet;
    await fleet.untilSynced(new Date(), 1);
    if (kind === 'frozen') {
      const thaw = cluster.freezeDatabase();
      await sleep(AWAY_MS);
      thaw();
    } else {
      await cluster.killDatabase();
      await sleep(AWAY_MS);
      await cluster.launchDatabase();
    }
    const back = new Date();
    await fleet.untilSynced(back, 2);
    await fleet.calm();
    await fleet.untilSynced(new Date(), 1);
    process.stdout.write(`away, ${kind}: ${await this.#summary(back)}\n`);
  }

  async #summary(back: Date): Promise<string> {
    const runs = [...(await this.fleet.runs()).values()];
    const firsts = runs.map((own) => own.find((run) => startOf(run) > back.getTime()));
    const latest = Math.max(...firsts.map((run) => (run === undefined ? NaN : startOf(run))));
    const breaks = [...this.witnesses.values()].reduce((sum, { watch }) => sum + watch.breaks, 0);
    const after = ((latest - back.getTime()) / 1_000).toFixed(1);
    return `the last schedule went on ${after} s after it was back; ${breaks} breaks of the watches`;
  }
}

const outages = new Map<(typeof KINDS)[number], Outage>();

beforeAll(async () => {
  for (const kind of KINDS) outages.set(kind, await Outage.start());
  // Both at a time: they are mostly waiting.
  await Promise.all([...outages].map(([kind, outage]) => outage.happen(kind)));
}, 600_000);
afterAll(async () => {
  for (const outage of outages.values()) await outage.stop();
}, 120_000);

describe.each(KINDS)('a database that is %s for a minute', (kind) => {
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
