import type { BarrenAttempts, HeldDecision, LeaseKey, SyncRunState, SyncTrigger } from '@tidemark/model';

/** What a run counted; taken from the store's answers, so exact across crashes. */
export interface RunCounters {
  readonly pages: number;
  readonly read: number;
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly deleted: number;
  readonly quarantined: number;
  readonly stale: number;
}

/** Nothing counted yet. */
export const NO_COUNTERS: RunCounters = {
  pages: 0,
  read: 0,
  created: 0,
  updated: 0,
  unchanged: 0,
  deleted: 0,
  quarantined: 0,
  stale: 0,
};

/** What a run went through. */
export interface RunEffort {
  /** Failures after which it was tried again. */
  readonly retries: number;
  /** How often another process went on with it because its worker died or stalled. */
  readonly takeovers: number;
  /** How often it let another run of its connection go first. */
  readonly yields: number;
  readonly pauses: number;
  /** How often it waited for the source's rate limit, and how long in all, in milliseconds. */
  readonly waits: number;
  readonly waitedMs: number;
}

/** Nothing came in the way yet. */
export const NO_EFFORT: RunEffort = { retries: 0, takeovers: 0, yields: 0, pauses: 0, waits: 0, waitedMs: 0 };

/** A full run's evidence that its snapshot is complete. */
export interface RunCertificate {
  readonly certified: boolean;
  readonly failures: readonly string[];
  readonly endEvidence: string;
  readonly expectedCount?: number;
  readonly observedCount: number;
  readonly uniqueIds: boolean;
}

/** What a full run repaired that deltas or webhooks of its model should have brought. */
export interface RunDiscrepancies {
  readonly created: number;
  readonly updated: number;
  readonly deleted: number;
  /** Ids of the first of them, at most 100. */
  readonly ids: readonly string[];
}

/** What a delta should have brought, had its source told of it in time. */
export interface RunLateArrivals {
  /** In a sample of what a full sync before it changed. */
  readonly count: number;
  /** Ids of the first of them, at most 100. */
  readonly ids: readonly string[];
}

/** A connector's closing message, kept until the run has finished. */
export interface RunEnd {
  readonly endEvidence: string;
  readonly failures: readonly string[];
  readonly expectedRecords?: number;
  readonly deltaCheckpoint: Uint8Array;
}

/** One execution of a sync for one (connection, model). */
export interface Run extends LeaseKey {
  readonly id: string;
  readonly connector: string;
  readonly trigger: SyncTrigger;
  readonly state: SyncRunState;
  readonly priority: number;
  readonly counters: RunCounters;
  readonly expectedRecords?: number;
  readonly createTime: Date;
  readonly startTime?: Date;
  readonly endTime?: Date;
  /** How often work on it began. */
  readonly attempts: number;
  /** Failures in a row. */
  readonly failures: number;
  readonly barren: BarrenAttempts;
  readonly effort: RunEffort;
  /** Not to be worked on before. */
  readonly notBefore: Date;
  /** What its worker is asked to do at the next page. */
  readonly request?: 'PAUSE' | 'CANCEL';
  readonly decision?: HeldDecision;
  readonly certificate?: RunCertificate;
  readonly discrepancies?: RunDiscrepancies;
  readonly lateArrivals?: RunLateArrivals;
  readonly end?: RunEnd;
  readonly error?: RunError;
  readonly heldDeletes: number;
  readonly lastSequence: number;
  /** What a person should know of where it stands, where the state alone does not tell. */
  readonly note?: string;
  /** Runs started together with it that go first. */
  readonly after: readonly string[];
  /** The run that it lets go first, and since when. */
  readonly yieldedTo?: string;
  readonly yieldTime?: Date;
  /** How long the interruption lasted after which work on it went on, in milliseconds. */
  readonly interruptionMs: number;
  /** Whether it stands for a run whose source changed under it. */
  readonly startedOver: boolean;
  /** The epoch of the lease that it is or was last worked on under. */
  readonly epoch: number;
  /** Changes with every write. */
  readonly revision: number;
}

/** Why a run failed. */
export interface RunError {
  readonly reason: string;
  readonly message: string;
}

/** A run to be made. */
export interface NewRun extends LeaseKey {
  readonly id: string;
  readonly connector: string;
  readonly trigger: SyncTrigger;
  readonly after: readonly string[];
  readonly startedOver: boolean;
}
