import type { LeaseKey, SyncRunState } from '@tidemark/model';
import type { ConnectionKey } from './connection.js';
import type {
  NewRun,
  Run,
  RunCertificate,
  RunCounters,
  RunDiscrepancies,
  RunEffort,
  RunEnd,
  RunError,
  RunLateArrivals,
} from './run.js';

/** What changes in a run. What is absent stays, what is undefined is taken away. */
export interface RunPatch {
  readonly state?: SyncRunState;
  readonly counters?: RunCounters;
  readonly expectedRecords?: number;
  readonly endTime?: Date;
  readonly failures?: number;
  readonly effort?: RunEffort;
  readonly yieldedTo?: string;
  readonly yieldTime?: Date;
  readonly notBefore?: Date;
  readonly priority?: number;
  readonly request?: Run['request'] | undefined;
  readonly decision?: Run['decision'] | undefined;
  readonly certificate?: RunCertificate | undefined;
  readonly discrepancies?: RunDiscrepancies | undefined;
  readonly lateArrivals?: RunLateArrivals;
  readonly end?: RunEnd | undefined;
  readonly error?: RunError | undefined;
  readonly heldDeletes?: number;
  readonly lastSequence?: number;
  readonly note?: string | undefined;
}

/** Which runs of a tenant. */
export interface RunQuery {
  readonly tenantId: string;
  readonly connectionId?: string;
  /** Only runs older than this one. */
  readonly before?: string;
  readonly limit: number;
}

/** Where runs are kept. */
export interface Runs {
  /** Makes a run that waits, or gives back the equal one that waits already and has not started (R8). */
  request(run: NewRun): Promise<Run>;
  find(tenantId: string, id: string): Promise<Run | undefined>;
  /** Newest first. */
  list(query: RunQuery): Promise<Run[]>;
  /** Those of these runs that there are. */
  findAll(tenantId: string, ids: readonly string[]): Promise<Run[]>;
  /** Runs of a tenant, or of one of its connections, that have not ended: by age, 10000 at most. */
  unfinished(tenantId: string, connectionId?: string): Promise<Run[]>;
  /** The newest run of each of these models. */
  newest(connection: ConnectionKey, models: readonly string[]): Promise<Run[]>;
  /** End of the newest certified full run of each model of a connection. */
  certifiedTimes(connection: ConnectionKey, models: readonly string[]): Promise<ReadonlyMap<string, Date>>;
  /** Changes a run as it was read; undefined if it was written since. */
  change(run: Run, patch: RunPatch): Promise<Run | undefined>;
  /** Runs of a connection in these states. */
  inStates(connection: ConnectionKey, states: readonly SyncRunState[]): Promise<Run[]>;
  /** Waiting runs that are due, of connections without a running one: a few of each, of some connections of every tenant. */
  due(now: Date): Promise<Run[]>;
  /** Running runs of all processes. */
  running(): Promise<Run[]>;
  /** Whether a run has to let others go first: those it comes after, an older one of its key, and the one that it yielded to. */
  isBlocked(run: Run, now: Date): Promise<boolean>;
  /** The delta or webhook run of the same connection that only waits for this one. */
  contender(run: Run, now: Date): Promise<Run | undefined>;
  /** Takes a run as it was read to RUNNING under a lease; undefined if it was written since or its connection is busy. */
  start(run: Run, epoch: number, now: Date): Promise<Run | undefined>;
  /** Changes a running run for the owner of its lease; undefined once that is another, or unless `asked` for this. */
  progress(run: Run, patch: RunPatch, asked?: Run['request']): Promise<Run | undefined>;
  /** Cancels what a run replaces: older ones of its key that are paused or held. */
  supersede(by: Run, now: Date): Promise<void>;
  /** Deletes the ended runs of a key but the newest. */
  prune(key: LeaseKey, keep: number): Promise<void>;
}
