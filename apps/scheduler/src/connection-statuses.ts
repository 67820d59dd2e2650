import type { ConnectionStatus, ModelStatistics, ModelStatus } from '@tidemark/contracts';
import { cadenceOf, explainSync, isTidemarkError, type PlannedSync, type SyncPlan } from '@tidemark/model';
import type { BreakerState } from '@tidemark/runtime';
import type { Cadences } from './cadences.js';
import { connectionKey, type Connection, type ConnectionKey } from './connection.js';
import { toDuration, toStateMessage } from './connection-messages.js';
import type { Connections } from './connections.js';
import type { Connectors } from './connectors.js';
import type { Run } from './run.js';
import { toWireKind, toWireState } from './run-messages.js';
import { summarize } from './run-summary.js';
import { waitNote } from './run-wait.js';
import type { Runs } from './runs.js';
import type { StoreClient } from './store-client.js';
import type { KnownConnection, SyncPlanner } from './sync-planner.js';

const MAX_CONNECTIONS = 1_000;
/** Counts are the store's, a call a connection. */
const AT_ONCE = 32;

/** A connection with what there is to tell of it. */
interface Subject extends KnownConnection {
  readonly plan: SyncPlan;
  readonly newest: ReadonlyMap<string, Run>;
}

/** Tells how connections stand. */
export class ConnectionStatuses {
  constructor(
    private readonly connections: Connections,
    private readonly runs: Pick<Runs, 'unfinished' | 'findAll'>,
    private readonly cadences: Pick<Cadences, 'find' | 'ofTenant'>,
    private readonly planner: Pick<SyncPlanner, 'preview'>,
    private readonly store: Pick<StoreClient, 'getStatistics'>,
    private readonly connectors: Pick<Connectors, 'breakersOf'>,
  ) {}

  /** All of a tenant's, in order of id; at most 1000. */
  async ofTenant(tenantId: string): Promise<ConnectionStatus[]> {
    const [connections, cadences, unfinished] = await Promise.all([
      this.connections.list(tenantId, MAX_CONNECTIONS),
      this.cadences.ofTenant(tenantId),
      this.runs.unfinished(tenantId),
    ]);
    const runs = byConnection(unfinished);
    const known = connections.map((connection) => ({
      connection,
      cadences: cadences.get(connection.id) ?? [],
      unfinished: runs.get(connection.id) ?? [],
    }));
    return this.tell(tenantId, known);
  }

  async of(connection: Connection): Promise<ConnectionStatus> {
    const { tenantId, id } = connection;
    const [cadences = [], unfinished] = await Promise.all([
      this.cadences.find(connection),
      this.runs.unfinished(tenantId, id),
    ]);
    const [status] = await this.tell(tenantId, [{ connection, cadences, unfinished }]);
    if (status === undefined) throw new Error('a connection has a status');
    return status;
  }

  private async tell(tenantId: string, known: readonly KnownConnection[]): Promise<ConnectionStatus[]> {
    const now = new Date();
    const ids = known.flatMap(({ cadences }) => cadences.flatMap(({ lastRun }) => lastRun ?? []));
    const [plans, found] = await Promise.all([
      this.planner.preview(now, known),
      this.runs.findAll(tenantId, ids),
    ]);
    const runs = byConnection(found);
    const subjects = known.map((each, index): Subject => {
      const own = [...(runs.get(each.connection.id) ?? []), ...each.unfinished];
      return { ...each, plan: plans[index] ?? { due: [], next: [] }, newest: newestByModel(own) };
    });
    const statuses: ConnectionStatus[] = [];
    for (let start = 0; start < subjects.length; start += AT_ONCE) {
      const some = subjects.slice(start, start + AT_ONCE);
      statuses.push(...(await Promise.all(some.map((subject) => this.tellOne(now, subject)))));
    }
    return statuses;
  }

  private async tellOne(now: Date, subject: Subject): Promise<ConnectionStatus> {
    const { connection } = subject;
    const statistics = await this.statistics({ tenantId: connection.tenantId, id: connection.id });
    return {
      connectionId: connection.id,
      state: toStateMessage(connection.state),
      stateReason: connection.stateReason,
      models: connection.scope.models.map(({ model }) =>
        toModelStatus(
          now,
          subject,
          model,
          statistics.find((each) => each.model === model),
        ),
      ),
      ...this.breakers(connection),
    };
  }

  private breakers(
    connection: Connection,
  ): Pick<ConnectionStatus, 'breaker' | 'connectorBreaker' | 'nextProbeTime'> {
    const { connector } = connection;
    const { own, connectors } = this.connectors.breakersOf({ breaker: connectionKey(connection), connector });
    return {
      breaker: stateName(own?.state),
      connectorBreaker: stateName(connectors?.state),
      // Both have to let the probe through.
      nextProbeTime: latest(own?.nextProbeTime, connectors?.nextProbeTime),
    };
  }

  private async statistics(key: ConnectionKey): Promise<ModelStatistics[]> {
    try {
      return (await this.store.getStatistics(key)).models;
    } catch (error) {
      // Not opened in the store yet, or already removed from it: it holds nothing.
      if (isTidemarkError(error, 'CONNECTION_NOT_FOUND')) return [];
      throw error;
    }
  }
}

function stateName(state: BreakerState = 'closed'): string {
  return state.toUpperCase().replace('-', '_');
}

function latest(one: Date | undefined, other: Date | undefined): Date | undefined {
  return one !== undefined && other !== undefined && one < other ? other : (one ?? other);
}

function byConnection(runs: readonly Run[]): ReadonlyMap<string, readonly Run[]> {
  const grouped = new Map<string, Run[]>();
  for (const run of runs) {
    const own = grouped.get(run.connectionId);
    if (own === undefined) grouped.set(run.connectionId, [run]);
    else own.push(run);
  }
  return grouped;
}

function newestByModel(runs: readonly Run[]): ReadonlyMap<string, Run> {
  return new Map(runs.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map((run) => [run.model, run]));
}

function toModelStatus(
  now: Date,
  { plan, cadences, unfinished, newest }: Subject,
  model: string,
  counts: ModelStatistics | undefined,
): ModelStatus {
  const next = (kind: PlannedSync['kind']) =>
    plan.next.find((each) => each.model === model && each.kind === kind);
  const [full, delta, run] = [next('FULL'), next('DELTA'), newest.get(model)];
  const overlapMs = cadenceOf(cadences, model, 'DELTA')?.overlap?.ms ?? 0;
  const told = (each: Run) => summarize(each, now, waitNote(each, unfinished));
  return {
    model,
    recordCount: counts?.recordCount ?? 0n,
    quarantinedCount: counts?.quarantinedCount ?? 0n,
    lastFullTime: cadenceOf(cadences, model, 'FULL')?.lastCertified,
    nextFullTime: full?.time,
    nextDeltaTime: delta?.time,
    nextFullReason: full === undefined ? '' : explainSync(now, full),
    nextDeltaReason: delta === undefined ? '' : explainSync(now, delta, overlapMs),
    lastRunId: run?.id,
    lastRunSummary: run === undefined ? '' : told(run),
    unfinishedRuns: unfinished
      .filter((each) => each.model === model)
      .map((each) => ({
        runId: each.id,
        kind: toWireKind(each.kind),
        state: toWireState(each.state),
        summary: told(each),
      })),
    deltaOverlap: overlapMs > 0 ? toDuration(overlapMs) : undefined,
  };
}
