import type { Cadence, DeltaOverlap } from '@tidemark/model';
import type { Connection, ConnectionKey } from './connection.js';
import type { Run } from './run.js';

/** What became of the runs of one kind of a model. */
export interface SyncCadence extends Cadence {
  /** The newest run, whether it started or not. */
  readonly lastRun?: string;
  /** When the newest certified snapshot ended. */
  readonly lastCertified?: Date;
  /** Of deltas: how far they read back. */
  readonly overlap?: DeltaOverlap;
}

/**
 * What became of a connection's runs, in so far as it says when the next ones come: kept beside the runs, for those are too many to be
 * looked through each time. All writes but `open` do nothing for a connection of which nothing is kept; all may be repeated.
 */
export interface Cadences {
  /** Begins with these, unless some are kept of this very connection already. */
  open(connection: Connection, cadences: readonly SyncCadence[]): Promise<void>;
  /** Undefined if none are kept. */
  find(connection: ConnectionKey): Promise<readonly SyncCadence[] | undefined>;
  /** Those of all connections of a tenant, by connection. */
  ofTenant(tenantId: string): Promise<ReadonlyMap<string, readonly SyncCadence[]>>;
  /** Runs were asked for; by the schedule at a time, whose turn is taken with that. */
  requested(connection: ConnectionKey, runs: readonly Run[], turn?: Date): Promise<void>;
  started(run: Run): Promise<void>;
  succeeded(run: Run, time: Date, isCertified: boolean): Promise<void>;
  /** A delta was checked, and this many changes had come late. */
  checked(run: Run, late: number): Promise<void>;
  /** Returns how many of the run's key have failed in a row. */
  failed(run: Run, time: Date): Promise<number>;
  /** Forgets what there was of all models but these. */
  keepOnly(connection: ConnectionKey, models: readonly string[]): Promise<void>;
}
