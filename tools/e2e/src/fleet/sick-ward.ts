import type { ConnectionStatus, ModelStatus } from '@tidemark/contracts';
import { eventually } from '../chaos/patience.js';
import { IS_LONG } from '../long.js';
import { Fleet, type Mirror, type MirrorPlan } from './fleet.js';
import { intervals } from './kept-runs.js';

const INTERVAL_S = 6;
/** Intervals that each of the 17 is watched for, before and beside the sick ones. */
const [BEFORE, BESIDE] = IS_LONG ? [10, 60] : [3, 8];
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

/** How often each of the well sources is synced before there are sick ones, and beside them. */
export class SickWard {
  /** The mean interval of each, as a share of what was set. */
  before: readonly number[] = [];
  beside: readonly number[] = [];

  private constructor(
    readonly fleet: Fleet,
    readonly healthy: readonly Mirror[],
  ) {}

  static async start(): Promise<SickWard> {
    const fleet = await Fleet.start(SHAPE);
    const healthy = await fleet.add(well);
    await fleet.stir(1_000, ['put', 'edit', 'delete', 'restore']);
    return new SickWard(fleet, healthy);
  }

  stop(): Promise<void> {
    return this.fleet.stop();
  }

  /** Watches the well ones, lets in the sick, and watches on. */
  async watch(): Promise<void> {
    await this.fleet.untilSynced(new Date(0), 2);
    this.before = await this.#shares(BEFORE);
    await this.#letInSick();
    this.beside = await this.#shares(BESIDE);
  }

  async status(connectionId: string): Promise<ConnectionStatus> {
    const { connections } = await this.fleet.cluster.api.connections.getStatus({ connectionId });
    const [found] = connections;
    if (found === undefined) throw new Error(`${connectionId} has no status`);
    return found;
  }

  /** Waits until a connection's status is as it should be. */
  statusOnce(id: string, is: (status: ConnectionStatus) => boolean): Promise<ConnectionStatus> {
    return eventually(
      async () => {
        const found = await this.status(id);
        return is(found) ? found : undefined;
      },
      async () => {
        const { breaker, connectorBreaker, models } = await this.status(id);
        return `${id}: ${breaker}, ${connectorBreaker}, ${summaryOf(models)}`;
      },
    );
  }

  /** Those that are sick before their first sync. */
  async #letInSick(): Promise<void> {
    const { fleet } = this;
    await fleet.add(sick);
    const source = (id: string) => fleet.cluster.living('living').source(id);
    await source('dead').fail({ kind: 'hang', times: 0 });
    await source('slow').behave({ pageSize: 5, pageDelayMs: 2_500 });
    await source('failing').fail({ kind: 'unavailable', times: 0 });
    fleet.cluster.kill('doomed');
  }

  /** Watches each of the 17 for so many intervals from now on; gives back their means, as shares of what was set. */
  async #shares(count: number): Promise<number[]> {
    const { fleet, healthy } = this;
    const since = new Date();
    await fleet.untilSynced(since, count + 1, healthy);
    const runs = await fleet.runs();
    return well.map(({ id }) => {
      const own = intervals(runs.get(`${id} FULL`) ?? [], since).slice(0, count);
      return own.reduce((sum, ms) => sum + ms, 0) / own.length / (INTERVAL_S * 1_000);
    });
  }
}

/** How the newest runs of a connection's models stand. */
export function summaryOf(models: readonly ModelStatus[]): string {
  return models.map(({ lastRunSummary }) => lastRunSummary).join();
}
