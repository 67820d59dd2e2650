import {
  DECIDED_PRIORITY,
  effectOf,
  isTidemarkError,
  TidemarkError,
  type RunAction,
  type SyncRunState,
} from '@tidemark/model';
import type { Connection, ConnectionKey } from './connection.js';
import type { Run } from './run.js';
import { begunAnew, leftScope } from './run-scope.js';
import type { RunPatch, Runs } from './runs.js';

/** A running run is written twice a second; so often something comes between reading it and changing it, at most. */
const ATTEMPTS = 20;

/** What people do to runs. */
export class RunActions {
  constructor(
    private readonly runs: Runs,
    private readonly wake: () => void,
    /** A run of a connection moved that the next ones may have waited for. */
    private readonly onMoved?: (connection: ConnectionKey) => void,
  ) {}

  /** Does an action to a run. Throws RUN_NOT_FOUND, RUN_STATE_CONFLICT. */
  async act(tenantId: string, id: string, action: RunAction): Promise<Run> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const run = await this.find(tenantId, id);
      const patch = patchOf(run, action, new Date());
      if (patch === undefined) return run;
      const changed = await this.runs.change(run, patch);
      if (changed === undefined) continue;
      if (patch.state === 'WAITING') this.wake();
      if (patch.state !== undefined) this.onMoved?.({ tenantId, id: run.connectionId });
      return changed;
    }
    throw new TidemarkError('SERVICE_UNAVAILABLE', 'the run changes too fast; try again');
  }

  /** Does an action to all runs of a connection in these states. Those that moved on meanwhile are left as they are. */
  async actOnAll(
    { tenantId, id }: ConnectionKey,
    states: readonly SyncRunState[],
    action: RunAction,
  ): Promise<void> {
    for (const run of await this.runs.inStates({ tenantId, id }, states)) {
      try {
        await this.act(tenantId, run.id, action);
      } catch (error) {
        if (!isTidemarkError(error, 'RUN_STATE_CONFLICT', 'RUN_NOT_FOUND')) throw error;
      }
    }
  }

  /**
   * Brings runs that nobody works on in line with a scope that changed: those of models that left it end, and held ones of
   * models that lost or gained fields are begun anew. Running ones see to it themselves. Safe to repeat.
   */
  async followScope(connection: Connection): Promise<void> {
    const inScope = new Set(connection.scope.models.map(({ model }) => model));
    const changed = new Set(connection.setup?.changed ?? []);
    for (const { id, model } of await this.runs.inStates(connection, ['WAITING', 'PAUSED', 'HELD'])) {
      const removed = !inScope.has(model);
      if (!removed && !changed.has(model)) continue;
      await this.patch(connection.tenantId, id, (run, now) =>
        removed ? leftScope(run, now) : begunAnew(run, now),
      );
    }
  }

  /** Changes a run as a function of what it is says; nothing happens to one that is gone. */
  private async patch(
    tenantId: string,
    id: string,
    patchOf: (run: Run, now: Date) => RunPatch | undefined,
  ): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const run = await this.runs.find(tenantId, id);
      const patch = run && patchOf(run, new Date());
      if (run === undefined || patch === undefined) return;
      if ((await this.runs.change(run, patch)) === undefined) continue;
      if (patch.state === 'WAITING') this.wake();
      return;
    }
    throw new TidemarkError('SERVICE_UNAVAILABLE', 'the run changes too fast; try again');
  }

  /** Throws RUN_NOT_FOUND. */
  async find(tenantId: string, id: string): Promise<Run> {
    const run = await this.runs.find(tenantId, id);
    if (run === undefined)
      throw new TidemarkError(
        'RUN_NOT_FOUND',
        'no such sync run; `tidemark sync list` shows those there are',
      );
    return run;
  }
}

function patchOf(run: Run, action: RunAction, now: Date): RunPatch | undefined {
  // A pause that its worker has not heeded yet is taken back.
  if (action === 'RESUME' && run.request === 'PAUSE' && run.state !== 'PAUSED') return { request: undefined };
  const effect = effectOf(action, run.state);
  if (effect === undefined) {
    const message = `a run that is ${run.state} cannot be ${PAST[action]}`;
    throw new TidemarkError('RUN_STATE_CONFLICT', message, { metadata: { state: run.state } });
  }
  if ('nothing' in effect) return undefined;
  if ('ask' in effect) return { request: effect.ask };
  const { move: state, decision } = effect;
  return {
    state,
    note: undefined,
    request: undefined,
    ...(state === 'WAITING' ? { notBefore: now } : {}),
    ...(state === 'CANCELLED' ? { endTime: now } : {}),
    ...(decision === undefined ? {} : { decision, priority: DECIDED_PRIORITY }),
  };
}

const PAST: Readonly<Record<RunAction, string>> = {
  PAUSE: 'paused',
  RESUME: 'resumed',
  CANCEL: 'cancelled',
  APPROVE: 'approved',
  DISCARD: 'discarded',
};
