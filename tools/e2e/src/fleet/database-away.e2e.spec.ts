import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Witness } from '../chaos/witness.js';
import { Fleet, MODEL } from './fleet.js';

// The database is away for a minute while sources change and syncs are under way: its process is killed, or stands still with all
// connections to it open. Nobody touches the services; when it is back, everything goes on by itself, and nothing is lost.

const { TIDEMARK_LONG } = process.env;
const AWAY_MS = 60_000;
const MIRRORS = TIDEMARK_LONG === '1' ? 40 : 4;
const SHAPE = { schedulers: 2, stores: 2, connectors: ['living'] };
const plans = Array.from({ length: MIRRORS }, (_, index) => ({
  id: `sea-${index}`,
  fullEvery: 6,
  deltaEvery: 1,
  records: 500,
  behaviour: { pageSize: 100, pageDelayMs: 50 },
}));

/** A fleet whose database goes away and comes back. */
class Outage {
  back = new Date();

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

  async happen(kind: 'killed' | 'frozen'): Promise<void> {
    const { fleet } = this;
    const { cluster } = fleet;
    await fleet.untilSynced(new Date(), 2);
    if (kind === 'frozen') {
      const thaw = cluster.freezeDatabase();
      await sleep(AWAY_MS);
      thaw();
    } else {
      await cluster.killDatabase();
      await sleep(AWAY_MS);
      await cluster.launchDatabase();
    }
    this.back = new Date();
  }
}

describe.each(['killed', 'frozen'] as const)('a database that is %s for a minute', (kind) => {
  let outage: Outage;

  beforeAll(async () => {
    outage = await Outage.start();
    await outage.happen(kind);
  }, 180_000);
  afterAll(() => outage.stop(), 60_000);

  it('leaves every process alive', () => {
    expect(outage.fleet.cluster.deaths).toEqual([]);
  });

  it('lets every schedule go on by itself once it is back', async () => {
    const { fleet, back } = outage;
    await fleet.untilSynced(back, 3);
    expect(fleet.cluster.deaths).toEqual([]);
    const caughtUp = Date.now() - back.getTime();
    process.stdout.write(`${kind}: all synced three times within ${(caughtUp / 1_000).toFixed(1)} s\n`);
  }, 120_000);

  it('loses and repeats no change', async () => {
    const { fleet, witnesses } = outage;
    await fleet.calm();
    await fleet.untilSynced(new Date(), 1);
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
