import { eventually } from '../chaos/patience.js';
import { Cluster, type Driver } from '../chaos/cluster.js';
import { connectLiving, type LivingConnection } from '../chaos/living-connection.js';
import type { ClusterShape } from '../chaos/members.js';
import type { Behaviour, Changing } from '../source/deed.js';
import type { LivingSourceControl } from '../source/living-client.js';
import { countSucceeded, runsByKey, type KeptRun } from './kept-runs.js';

/** The one model of each source. */
export const MODEL = 'staff';
const AT_ONCE = 16;
/** Seldom enough that the looking is no load. */
const LOOK_EVERY_MS = 300;
/** What a machine that is busy with much else takes for 500 syncs. */
const LONGEST_WAIT_MS = 240_000;

/** A connection to a living source, and what that is like. */
export interface MirrorPlan extends LivingConnection {
  readonly records: number;
  readonly behaviour?: Partial<Behaviour>;
}

/** A connection, and its source. */
export interface Mirror {
  readonly plan: MirrorPlan;
  readonly source: LivingSourceControl;
}

/** A cluster with many connections, each to a living source of its own, that are left to their schedules. */
export class Fleet {
  readonly mirrors: Mirror[] = [];

  private constructor(
    readonly cluster: Cluster,
    readonly driver: Driver,
  ) {}

  static async start(shape: ClusterShape): Promise<Fleet> {
    const cluster = await Cluster.start(shape);
    return new Fleet(cluster, await cluster.driver());
  }

  async stop(): Promise<void> {
    await this.driver.close();
    await this.cluster.stop();
  }

  /** Makes connections, which begin to sync. */
  async add(plans: readonly MirrorPlan[]): Promise<Mirror[]> {
    const added = await inParallel(plans, (plan) => this.#add(plan));
    this.mirrors.push(...added);
    return added;
  }

  /** Lets sources change by themselves. */
  async stir(everyMs: number, kinds: Changing['kinds']): Promise<void> {
    await inParallel(this.mirrors, ({ source }, seed) =>
      source.keepChanging(MODEL, { everyMs, kinds, seed }),
    );
  }

  /** Lets the sources stand still. */
  async calm(): Promise<void> {
    await inParallel(this.mirrors, ({ source }) => source.stopChanging(MODEL));
  }

  /** All runs, by connection and kind, each in the order in which they began. */
  runs(): Promise<Map<string, KeptRun[]>> {
    return runsByKey(this.driver);
  }

  /** Waits until every mirror has so many runs of each scheduled kind that began after a time and succeeded. */
  async untilSynced(since: Date, count: number, mirrors: readonly Mirror[] = this.mirrors): Promise<void> {
    const keys = mirrors.flatMap(({ plan }) => keysOf(plan));
    let late: string[] = [];
    await eventually(
      async () => {
        const counts = await countSucceeded(this.driver, since);
        late = keys.filter((key) => (counts.get(key) ?? 0) < count);
        return late.length === 0 ? true : undefined;
      },
      () => `${late.length} of ${keys.length} did not sync ${count} times: ${late.slice(0, 20).join(', ')}`,
      { pauseMs: LOOK_EVERY_MS, longestMs: LONGEST_WAIT_MS },
    );
  }

  async #add(plan: MirrorPlan): Promise<Mirror> {
    const { id, connector = 'living', records, behaviour = {} } = plan;
    const source = this.cluster.living(connector).source(id);
    await source.behave(behaviour);
    const fields = { text: '' };
    await source.fill(
      MODEL,
      Array.from({ length: records }, (_, i) => ({ id: `r-${i}`, fields })),
    );
    await connectLiving(this.cluster.api, plan);
    return { plan, source };
  }
}

/** Does the same for each of many, a few at a time. */
export async function inParallel<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const entries = items.entries();
  const worker = async () => {
    for (const [index, item] of entries) results[index] = await work(item, index);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

/** The keys of a mirror's scheduled runs. */
export function keysOf({ id, fullEvery, deltaEvery }: MirrorPlan): string[] {
  return [...(fullEvery > 0 ? [`${id} FULL`] : []), ...(deltaEvery > 0 ? [`${id} DELTA`] : [])];
}
