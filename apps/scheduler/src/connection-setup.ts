import type { Cadences } from './cadences.js';
import type { Connection } from './connection.js';
import { notFound } from './connection-states.js';
import type { Connections } from './connections.js';
import { removeOrphan } from './orphans.js';
import type { Run } from './run.js';
import type { RunActions } from './run-actions.js';
import type { RunRequests } from './run-requests.js';
import type { ScopePurges } from './scope-purge.js';
import type { Schedules } from './schedules.js';
import type { SyncPlanner } from './sync-planner.js';
import type { StoreClient } from './store-client.js';

/** What became of a change. */
export interface SetupResult {
  /** The backfills. */
  readonly runs: Run[];
  /** Whether something stored is being purged. */
  readonly purging: boolean;
}

/** Brings to effect what is stored of a connection: its scope in the store and on its runs, its wake-ups, its backfills. */
export class ConnectionSetup {
  constructor(
    private readonly connections: Connections,
    private readonly store: StoreClient,
    private readonly schedules: Pick<Schedules, 'remove'>,
    private readonly cadences: Pick<Cadences, 'open' | 'keepOnly'>,
    private readonly planner: Pick<SyncPlanner, 'plan'>,
    private readonly requests: RunRequests,
    private readonly actions: RunActions,
    private readonly purges: ScopePurges,
  ) {}

  /** Safe to repeat, as after a crash. Throws CONNECTION_NOT_FOUND if it was deleted meanwhile. */
  async complete(connection: Connection): Promise<SetupResult> {
    return this.bring(connection).finally(() => this.demandThere(connection));
  }

  /** A deletion may have passed by before all was in place; then nobody else would ever take it away. */
  private async demandThere(connection: Connection): Promise<void> {
    const now = await this.connections.find(connection);
    if (now !== undefined && now.state !== 'DELETING') return;
    await this.schedules.remove(connection);
    await removeOrphan(connection, this.connections, this.store);
    await this.connections.remove(connection);
    throw notFound();
  }

  private async bring(connection: Connection): Promise<SetupResult> {
    const purging = await this.store.openConnection(connection);
    if (purging) this.purges.start(connection);
    else if (connection.purge !== undefined) await this.connections.endPurge(connection);
    await this.actions.followScope(connection);
    const runs = await this.backfill(connection);
    if (connection.setup !== undefined) await this.connections.endSetup(connection, connection.setup.since);
    await this.planner.plan(connection);
    return { runs, purging };
  }

  private async backfill(connection: Connection): Promise<Run[]> {
    await this.cadences.open(connection, []);
    // A model that comes back one day begins anew.
    await this.cadences.keepOnly(
      connection,
      connection.scope.models.map(({ model }) => model),
    );
    const models = connection.setup?.backfill ?? [];
    return this.requests.start(
      connection,
      models.map((model) => ({ model, kind: 'FULL' })),
      'BACKFILL',
    );
  }
}
