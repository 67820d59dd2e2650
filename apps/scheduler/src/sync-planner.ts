import {
  cadenceOf,
  isPushHealthy,
  planSyncs,
  syncIntervals,
  type PlannedSync,
  type ScheduledModel,
  type StandingRun,
  type SyncFacts,
  type SyncPlan,
} from '@tidemark/model';
import type { Logger } from '@tidemark/runtime';
import type { Cadences, SyncCadence } from './cadences.js';
import { connectionKey, type Connection, type ConnectionKey } from './connection.js';
import type { Connections } from './connections.js';
import type { Run } from './run.js';
import type { RunRequests } from './run-requests.js';
import type { Runs } from './runs.js';
import type { Schedules } from './schedules.js';
import type { Uptime } from './uptime.js';

/** What planning needs. */
export interface PlannerParts {
  readonly connections: Pick<Connections, 'find'>;
  readonly runs: Pick<Runs, 'unfinished' | 'newest' | 'certifiedTimes'>;
  readonly cadences: Cadences;
  readonly uptime: Uptime;
  readonly schedules: Pick<Schedules, 'wakeAt' | 'remove'>;
  readonly requests: Pick<RunRequests, 'start'>;
  readonly logger: Logger;
}

/** A connection with what there is to know for its plan. */
export interface KnownConnection {
  readonly connection: Connection;
  readonly cadences: readonly SyncCadence[];
  readonly unfinished: readonly Run[];
}

/** Lets connections sync by themselves: gathers what is known of them, asks the policy, and does what it says. */
export class SyncPlanner {
  /** Plans under way by connection, and whether one more has to follow. */
  private readonly planning = new Map<string, { again: boolean; done: Promise<void> }>();

  constructor(private readonly parts: PlannerParts) {}

  /** Asks for the runs that are due and sets the next wake-up. Safe to repeat, here and in other processes at the same time. */
  async plan({ tenantId, id }: ConnectionKey): Promise<void> {
    const key = { tenantId, id };
    const name = connectionKey(key);
    const current = this.planning.get(name);
    if (current !== undefined) {
      // It may have looked before the change that calls for this one.
      current.again = true;
      return current.done;
    }
    const entry = { again: false, done: Promise.resolve() };
    this.planning.set(name, entry);
    entry.done = this.planWhile(key, entry);
    return entry.done;
  }

  /** The same in the background. Should it fail, the wake-up of the plan before makes up for it. */
  replan(key: ConnectionKey): void {
    this.plan(key).catch((error: unknown) =>
      this.parts.logger.warn(
        { connection: connectionKey(key), error },
        'what comes next could not be planned',
      ),
    );
  }

  /** Waits for plans under way. */
  async stop(): Promise<void> {
    await Promise.allSettled([...this.planning.values()].map(({ done }) => done));
  }

  /** What comes next of connections, as of a time. Changes nothing. */
  async preview(now: Date, connections: readonly KnownConnection[]): Promise<SyncPlan[]> {
    const awakeSince = await this.parts.uptime.since();
    return connections.map((known) => planSyncs(now, toFacts(now, known, awakeSince)));
  }

  private async planWhile(key: ConnectionKey, entry: { again: boolean }): Promise<void> {
    try {
      do {
        entry.again = false;
        await this.planOnce(key);
      } while (entry.again);
    } finally {
      this.planning.delete(connectionKey(key));
    }
  }

  private async planOnce(key: ConnectionKey): Promise<void> {
    const { connections, runs, uptime, schedules } = this.parts;
    const connection = await connections.find(key);
    if (connection === undefined || connection.state === 'DELETING') return schedules.remove(key);
    const [cadences, unfinished, awakeSince] = await Promise.all([
      this.cadencesOf(connection),
      runs.unfinished(key.tenantId, key.id),
      uptime.since(),
    ]);
    const now = new Date();
    const { due, wakeTime } = planSyncs(now, toFacts(now, { connection, cadences, unfinished }, awakeSince));
    await this.request(connection, due);
    await (wakeTime === undefined ? schedules.remove(key) : schedules.wakeAt(key, wakeTime));
  }

  /** A call a kind: the runs of one wait for each other where their models do. */
  private async request(connection: Connection, due: readonly PlannedSync[]): Promise<void> {
    for (const kind of ['DELTA', 'FULL'] as const) {
      const models = due.filter((sync) => sync.kind === kind);
      if (models.length > 0) await this.parts.requests.start(connection, models, 'SCHEDULE');
    }
  }

  /** Of connections made before there were cadences, their runs tell. */
  private async cadencesOf(connection: Connection): Promise<readonly SyncCadence[]> {
    const { cadences, runs } = this.parts;
    const found = await cadences.find(connection);
    if (found !== undefined) return found;
    const models = connection.scope.models.map(({ model }) => model);
    const [newest, certified] = await Promise.all([
      runs.newest(connection, models),
      runs.certifiedTimes(connection, models),
    ]);
    const told = models.flatMap((model): SyncCadence[] => {
      const run = newest.find((each) => each.model === model);
      const time = certified.get(model);
      const full = time === undefined ? {} : { lastSuccess: time, lastCertified: time };
      const last = run && { lastRun: run.id, ...(run.startTime && { lastStart: run.startTime }) };
      return [
        { model, kind: 'FULL', failuresInARow: 0, ...full, ...(run?.kind === 'FULL' ? last : {}) },
        ...(run?.kind === 'DELTA' ? [{ model, kind: 'DELTA' as const, failuresInARow: 0, ...last }] : []),
      ];
    });
    await cadences.open(connection, told);
    return told;
  }
}

const STOPPED: Readonly<Record<Exclude<Connection['state'], 'ACTIVE'>, string>> = {
  PAUSED: 'the connection is paused',
  NEEDS_ATTENTION: 'the connection needs attention',
  DISABLED: 'the connection is disabled',
  DELETING: 'the connection is being deleted',
};

function toFacts(
  now: Date,
  { connection, cadences, unfinished }: KnownConnection,
  awakeSince: Date,
): SyncFacts {
  const { state, schedule, createTime } = connection;
  return {
    connection: connectionKey(connection),
    since: createTime,
    awakeSince,
    intervals: syncIntervals(schedule, scheduledModels(now, connection, cadences)),
    cadences,
    // Beside a run that a person has to decide about, others may go on.
    standing: unfinished.flatMap(({ model, kind, state: stands }): StandingRun[] =>
      stands === 'WAITING' || stands === 'RUNNING' || stands === 'PAUSED'
        ? [{ model, kind, state: stands }]
        : [],
    ),
    ...(state === 'ACTIVE' ? {} : { stopped: STOPPED[state] }),
  };
}

/** A connection's models in scope, as far as schedules mind. */
function scheduledModels(
  now: Date,
  { scope, catalogue }: Connection,
  cadences: readonly SyncCadence[],
): ScheduledModel[] {
  return scope.models.map(({ model }) => {
    const capabilities = catalogue.find(({ name }) => name === model)?.capabilities;
    const webhooks = cadenceOf(cadences, model, 'WEBHOOK');
    return {
      name: model,
      delta: capabilities?.delta ?? false,
      webhook: capabilities?.webhook ?? false,
      pushHealthy: isPushHealthy(now, webhooks),
    };
  });
}
