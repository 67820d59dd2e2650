import { Witness } from '../chaos/witness.js';
import { IS_LONG } from '../long.js';
import { Fleet } from './fleet.js';
import { startOf } from './kept-runs.js';

const MIRRORS = IS_LONG ? 40 : 4;
const SHAPE = { schedulers: 2, stores: 1, connectors: ['living'] };
const plans = Array.from({ length: MIRRORS }, (_, index) => ({
  id: `sea-${index}`,
  fullEvery: 8,
  deltaEvery: 2,
  records: 500,
  behaviour: { pageSize: 100, pageDelayMs: 50 },
}));

/** How the database goes: its process is killed, or stands still with all connections to it open. */
export type OutageKind = 'killed' | 'frozen';

/** A fleet whose database goes away and comes back. */
export class Outage {
  #back = new Date();
  #bringBack = async (): Promise<void> => undefined;

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

  /** Takes the database away while syncs are under way. */
  async begin(kind: OutageKind): Promise<void> {
    const { fleet } = this;
    const { cluster } = fleet;
    await fleet.untilSynced(new Date(), 1);
    if (kind === 'frozen') {
      const thaw = cluster.freezeDatabase();
      this.#bringBack = async () => thaw();
    } else {
      await cluster.killDatabase();
      this.#bringBack = () => cluster.launchDatabase();
    }
  }

  /** Brings the database back, and waits until all syncs went on by themselves and saw their sources stand still. */
  async end(): Promise<void> {
    const { fleet } = this;
    await this.#bringBack();
    this.#back = new Date();
    await fleet.untilSynced(this.#back, 2);
    await fleet.calm();
    await fleet.untilSynced(new Date(), 1);
  }

  /** How it came about, for a person. */
  async summary(): Promise<string> {
    const runs = [...(await this.fleet.runs()).values()];
    const firsts = runs.map((own) => own.find((run) => startOf(run) > this.#back.getTime()));
    const latest = Math.max(...firsts.map((run) => (run === undefined ? NaN : startOf(run))));
    const breaks = [...this.witnesses.values()].reduce((sum, { watch }) => sum + watch.breaks, 0);
    const after = ((latest - this.#back.getTime()) / 1_000).toFixed(1);
    return `the last schedule went on ${after} s after it was back; ${breaks} breaks of the watches`;
  }
}
