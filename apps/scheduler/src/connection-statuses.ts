import type { ConnectionStatus, ModelStatistics, ModelStatus } from '@tidemark/contracts';
import { isTidemarkError } from '@tidemark/model';
import { connectionKey, type Connection, type ConnectionKey } from './connection.js';
import { toStateMessage } from './connection-messages.js';
import type { Connections } from './connections.js';
import type { Connectors } from './connectors.js';
import { summarize } from './run-summary.js';
import type { Runs } from './runs.js';
import type { NextDue, Schedules } from './schedules.js';
import type { StoreClient } from './store-client.js';

const MAX_CONNECTIONS = 1_000;
const AT_ONCE = 8;

/** Tells how connections stand. */
export class ConnectionStatuses {
  constructor(
    private readonly connections: Connections,
    private readonly runs: Runs,
    private readonly schedules: Schedules,
    private readonly store: StoreClient,
    private readonly connectors: Connectors,
  ) {}

  /** All of a tenant's, in order of id; at most 1000. */
  async ofTenant(tenantId: string): Promise<ConnectionStatus[]> {
    const connections = await this.connections.list(tenantId, MAX_CONNECTIONS);
    const statuses: ConnectionStatus[] = [];
    for (let start = 0; start < connections.length; start += AT_ONCE) {
      statuses.push(
        ...(await Promise.all(
          connections.slice(start, start + AT_ONCE).map((connection) => this.of(connection)),
        )),
      );
    }
    return statuses;
  }

  async of(connection: Connection): Promise<ConnectionStatus> {
    const key = { tenantId: connection.tenantId, id: connection.id };
    const models = connection.scope.models.map(({ model }) => model);
    const [statistics, newest, certified, next] = await Promise.all([
      this.statistics(key),
      this.runs.newest(key, models),
      this.runs.certifiedTimes(key, models),
      connection.state === 'ACTIVE' ? this.schedules.next(key) : [],
    ]);
    return {
      connectionId: connection.id,
      state: toStateMessage(connection.state),
      stateReason: connection.stateReason,
      models: models.map((model): ModelStatus => {
        const counts = statistics.find((each) => each.model === model);
        const run = newest.find((each) => each.model === model);
        return {
          model,
          recordCount: counts?.recordCount ?? 0n,
          quarantinedCount: counts?.quarantinedCount ?? 0n,
          lastFullTime: certified.get(model),
          nextFullTime: timeOf(next, model, 'FULL'),
          nextDeltaTime: timeOf(next, model, 'DELTA'),
          lastRunId: run?.id,
          lastRunSummary: run === undefined ? '' : summarize(run, new Date()),
        };
      }),
      breaker: this.connectors.breakerState(connectionKey(connection)).toUpperCase().replace('-', '_'),
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

function timeOf(next: readonly NextDue[], model: string, kind: NextDue['kind']): Date | undefined {
  return next.find((each) => each.model === model && each.kind === kind)?.time;
}
