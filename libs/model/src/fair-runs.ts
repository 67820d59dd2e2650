/** A run that waits, or one that is being worked on, as far as sharing the workers minds. */
export interface SharingRun {
  readonly id: string;
  readonly tenantId: string;
  readonly connectionId: string;
  readonly connector: string;
  /** A higher one goes first among its tenant's; see `PRIORITY_WORTH_MS`. */
  readonly priority: number;
  readonly createTime: Date;
}

/**
 * How much longer a run has to have waited to go before one of the next higher priority. So a tenant whose deltas alone take all that
 * its limit allows still gets its full syncs.
 */
export const PRIORITY_WORTH_MS = 30_000;

/** Runs at a time, over all processes. */
export interface RunLimits {
  readonly perTenant: number;
  readonly perConnector: number;
}

/**
 * Gives out waiting runs in the order in which they are to be tried (P8): tenants take turns, those with the fewest running
 * runs first, then those that were served longest ago, then those whose oldest run waits longest; among a tenant's, by priority and
 * age. Runs beyond a limit, and further ones of a connection that has one running, stay until one that ended makes room. Each run is
 * given out once.
 */
export class FairRuns<R extends SharingRun> {
  readonly #queues = new Map<string, R[]>();
  readonly #oldest = new Map<string, string>();
  readonly #tenants = new Map<string, number>();
  readonly #connectors = new Map<string, number>();
  readonly #connections = new Map<string, number>();
  readonly #tried = new Set<string>();

  constructor(
    waiting: readonly R[],
    running: readonly SharingRun[],
    readonly limits: RunLimits,
    /** By tenant: counts up with each run started; kept from one round to the next. */
    readonly served: Map<string, number>,
  ) {
    for (const run of waiting.toSorted(byUrgency)) {
      const { tenantId, id } = run;
      this.#queues.set(tenantId, [...(this.#queues.get(tenantId) ?? []), run]);
      const oldest = this.#oldest.get(tenantId);
      if (oldest === undefined || id < oldest) this.#oldest.set(tenantId, id);
    }
    for (const run of running) this.#count(run, 1);
  }

  /** The run to try next; undefined when there is none. */
  next(): R | undefined {
    const passed = new Set<string>();
    for (;;) {
      const tenant = this.#nextTenant(passed);
      if (tenant === undefined) return undefined;
      const run = this.#take(tenant);
      if (run !== undefined) return run;
      passed.add(tenant);
    }
  }

  /** A run takes up its place, though it does not run yet: it is told of with `started` or `ended`. */
  trying(run: SharingRun): void {
    this.#count(run, 1);
    this.#tried.add(run.id);
  }

  /** A run runs now. */
  started(run: SharingRun): void {
    if (!this.#tried.delete(run.id)) this.#count(run, 1);
    const turn = Math.max(0, ...this.served.values()) + 1;
    this.served.delete(run.tenantId);
    this.served.set(run.tenantId, turn);
  }

  /** A run that was tried or ran, when this was made or since then, does so no more. */
  ended(run: SharingRun): void {
    this.#tried.delete(run.id);
    this.#count(run, -1);
  }

  #count(run: SharingRun, change: 1 | -1): void {
    add(this.#tenants, run.tenantId, change);
    add(this.#connectors, run.connector, change);
    add(this.#connections, connectionOf(run), change);
  }

  #nextTenant(passed: ReadonlySet<string>): string | undefined {
    let best: string | undefined;
    for (const tenant of this.#queues.keys())
      if (!passed.has(tenant) && (best === undefined || this.#isBefore(tenant, best))) best = tenant;
    return best;
  }

  /** The first of a tenant's runs that may start. */
  #take(tenant: string): R | undefined {
    const queue = this.#queues.get(tenant);
    if (queue === undefined || count(this.#tenants, tenant) >= this.limits.perTenant) return undefined;
    const index = queue.findIndex((run) => this.#mayRun(run));
    if (index < 0) return undefined;
    const [run] = queue.splice(index, 1);
    if (queue.length === 0) this.#queues.delete(tenant);
    return run;
  }

  #isBefore(a: string, b: string): boolean {
    const more = count(this.#tenants, a) - count(this.#tenants, b);
    const later = count(this.served, a) - count(this.served, b);
    if (more !== 0 || later !== 0) return more < 0 || (more === 0 && later < 0);
    return (this.#oldest.get(a) ?? '') < (this.#oldest.get(b) ?? '');
  }

  #mayRun(run: R): boolean {
    return (
      count(this.#connectors, run.connector) < this.limits.perConnector &&
      count(this.#connections, connectionOf(run)) === 0
    );
  }
}

function byUrgency(a: SharingRun, b: SharingRun): number {
  return urgentSince(a) - urgentSince(b) || (a.id < b.id ? -1 : 1);
}

function urgentSince({ createTime, priority }: SharingRun): number {
  return createTime.getTime() - priority * PRIORITY_WORTH_MS;
}

function connectionOf({ tenantId, connectionId }: SharingRun): string {
  return `${tenantId}/${connectionId}`;
}

function add(counts: Map<string, number>, key: string, change: 1 | -1): void {
  counts.set(key, count(counts, key) + change);
}

function count(counts: ReadonlyMap<string, number>, key: string): number {
  return counts.get(key) ?? 0;
}
