import type { ScopeReceipt } from '@tidemark/contracts';
import { isTidemarkError, TidemarkError, type ModelScopeSpec, type ScheduleSpec } from '@tidemark/model';
import type { Connection, ConnectionKey, ConnectionScope } from './connection.js';
import type { ConnectionSetup, SetupResult } from './connection-setup.js';
import type { ConnectionStates } from './connection-states.js';
import type { Connections } from './connections.js';
import { changeScope } from './scope-change.js';
import type { StoreClient } from './store-client.js';

const ATTEMPTS = 5;

/** How a connection's scope stands. */
export interface ScopeStatus {
  readonly scope: ConnectionScope;
  /** Whether something stored that it does not allow may not be purged yet. */
  readonly purging: boolean;
  /** What was purged, newest first. */
  readonly receipts: ScopeReceipt[];
}

/** Shows and replaces scopes. */
export class ScopeAdministration {
  constructor(
    private readonly connections: Connections,
    private readonly states: ConnectionStates,
    private readonly setup: ConnectionSetup,
    private readonly store: Pick<StoreClient, 'scopeReceipts'>,
  ) {}

  /** Throws CONNECTION_NOT_FOUND. */
  async get(key: ConnectionKey): Promise<ScopeStatus> {
    // Before the receipts: a purge that is over has left one by then.
    const { scope, purge } = await this.states.find(key);
    const receipts = await this.receipts(key);
    return { scope, purging: purge !== undefined, receipts };
  }

  /**
   * Replaces a connection's scope: durable first, then enforced in the store, then purged and backfilled in the background.
   * `revision` is that of the scope that the caller means to replace; 0: whatever it is. Throws SCOPE_CONFLICT,
   * REQUEST_INVALID, FIELD_UNKNOWN, CONNECTION_NOT_FOUND.
   */
  async set(
    key: ConnectionKey,
    models: readonly ModelScopeSpec[],
    revision: number,
  ): Promise<SetupResult & { readonly scope: ConnectionScope }> {
    const replaced = await this.replace(key, models, revision);
    const result = await this.setup.complete(replaced);
    return { ...result, scope: replaced.scope };
  }

  private async replace(
    key: ConnectionKey,
    models: readonly ModelScopeSpec[],
    revision: number,
  ): Promise<Connection> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = await this.states.findLive(key);
      if (revision !== 0 && revision !== before.scope.revision)
        throw conflict(revision, before.scope.revision);
      const now = new Date();
      const change = changeScope(before, models, before.catalogue, now, 'scope');
      const schedule = withoutModels(before.schedule, change.scope);
      const replaced = await this.connections.replace({ ...before, ...change, schedule, updateTime: now });
      if (replaced !== undefined) return replaced;
    }
    throw new TidemarkError('SERVICE_UNAVAILABLE', 'the connection is being changed by others; try again');
  }

  private async receipts(key: ConnectionKey): Promise<ScopeReceipt[]> {
    try {
      return await this.store.scopeReceipts(key);
    } catch (error) {
      // Not opened in the store yet, or already removed from it: nothing was purged.
      if (isTidemarkError(error, 'CONNECTION_NOT_FOUND')) return [];
      throw error;
    }
  }
}

/** Intervals of models that leave the scope go with them. */
function withoutModels(schedule: ScheduleSpec, scope: ConnectionScope): ScheduleSpec {
  const names = new Set(scope.models.map(({ model }) => model));
  const models = Object.fromEntries(Object.entries(schedule.models).filter(([model]) => names.has(model)));
  return { ...schedule, models };
}

function conflict(asked: number, current: number): TidemarkError {
  const message = `the scope is at revision ${current}, not ${asked}, which was to be replaced; read it again`;
  return new TidemarkError('SCOPE_CONFLICT', message, { metadata: { revision: String(current) } });
}
