import type {
  DeltaOverlap,
  BudgetCause,
  BudgetState,
  ConnectionState,
  Intervals,
  RateBudget,
  RoleName,
} from '@tidemark/model';
import type { Binary, Collection, Db, MongoClient } from 'mongodb';
import type { CatalogueEntry, ConnectionScope, GuardSpec, PendingPurge, PendingSetup } from './connection.js';
import type { Run, RunEnd } from './run.js';

/** A connection as stored; its `_id` is `tenant/connection`. */
export interface ConnectionDocument {
  _id: string;
  tenant: string;
  connection: string;
  connector: string;
  config: Binary;
  sealedCredentials?: Binary;
  scope: ConnectionScope;
  /** Intervals of models as a list, for their names may hold dots. */
  schedule: Intervals & { models: readonly (Intervals & { model: string })[] };
  guard: GuardSpec;
  budget?: RateBudget;
  state: ConnectionState;
  stateReason: string;
  catalogue: readonly (Omit<CatalogueEntry, 'jsonSchema'> & { jsonSchema: Binary })[];
  createTime: Date;
  updateTime: Date;
  revision: number;
  setup?: PendingSetup;
  purge?: PendingPurge;
  retainTime?: Date;
}

/** A run as stored. */
export interface RunDocument extends Omit<Run, 'id' | 'tenantId' | 'connectionId' | 'end'> {
  _id: string;
  tenant: string;
  connection: string;
  /** `tenant/connection` */
  connectionKey: string;
  /** The lease's id, until the run first starts: one such run per key, so that equal requests meet. */
  queued?: string;
  /** `tenant/connection` while RUNNING: one running run per connection. */
  running?: string;
  end?: Omit<RunEnd, 'deltaCheckpoint'> & { deltaCheckpoint: Binary };
}

/** A lease as stored; its `_id` is `tenant/connection/model/kind`. */
export interface LeaseDocument {
  _id: string;
  tenant: string;
  connection: string;
  /** Counts up with each acquisition. */
  epoch: number;
  /** Empty while free. */
  owner: string;
  runId: string;
  /** By the database's clock. */
  expiresAt: Date;
}

/** An API key as stored; its `_id` is its public part. */
export interface ApiKeyDocument {
  _id: string;
  tenant: string;
  hash: Binary;
  roles: readonly RoleName[];
  createTime: Date;
  expireTime?: Date;
  revokeTime?: Date;
}

/** What all instances on the database share, by name. */
export interface SettingDocument {
  _id: string;
  /** Sealed under the master key. */
  sealed: Binary;
}

/** What became of the runs of one kind of a model. */
export interface CadenceDocument {
  lastRun?: string;
  lastRequest?: Date;
  lastStart?: Date;
  lastSuccess?: Date;
  lastCertified?: Date;
  lastFailure?: Date;
  failuresInARow?: number;
  /** The run that was last counted as a failure. */
  lastFailed?: string;
  overlap?: DeltaOverlap;
  /** The delta that was last checked for late arrivals. */
  lastChecked?: string;
}

/** The cadences of a connection; `_id` is `tenant/connection`. */
export interface CadencesDocument {
  _id: string;
  tenant: string;
  connection: string;
  /** The connection's. */
  createTime: Date;
  /** By `kind:model`, with slashes for the dots in the model's name. */
  syncs: Record<string, CadenceDocument>;
}

/** Since when there have been schedulers at work. */
export interface UptimeDocument {
  _id: 'schedulers';
  since: Date;
  /** When one of them last said so. */
  seen: Date;
}

/** A rate budget as stored; its `_id` is the account's. One that a source only blocked has no more than that. */
export interface BudgetDocument extends Partial<BudgetState> {
  _id: string;
  blockedUntil: number;
  /** What the last claim was told. */
  answer?: { granted: number; waitMs: number; cause: BudgetCause };
  /** When it may go. */
  expireTime: Date;
}

/** Agenda's own collection. */
export const JOBS_COLLECTION = 'agendaJobs';

/** The control database. */
export class ControlDatabase {
  readonly connections: Collection<ConnectionDocument>;
  readonly runs: Collection<RunDocument>;
  readonly leases: Collection<LeaseDocument>;
  readonly apiKeys: Collection<ApiKeyDocument>;
  readonly settings: Collection<SettingDocument>;
  readonly cadences: Collection<CadencesDocument>;
  readonly uptime: Collection<UptimeDocument>;
  readonly budgets: Collection<BudgetDocument>;

  constructor(
    readonly client: MongoClient,
    readonly db: Db,
  ) {
    this.connections = db.collection('connections');
    this.runs = db.collection('runs');
    this.leases = db.collection('leases');
    this.apiKeys = db.collection('api_keys');
    this.settings = db.collection('settings');
    this.cadences = db.collection('cadences');
    this.uptime = db.collection('uptime');
    this.budgets = db.collection('budgets');
  }

  /** Creates the indexes. Safe to repeat. */
  async prepare(): Promise<void> {
    await this.connections.createIndexes([
      { key: { tenant: 1, connection: 1 }, unique: true },
      // Those that the janitor looks for are few.
      { key: { state: 1 }, partialFilterExpression: { state: 'DELETING' } },
      { key: { 'setup.since': 1 }, partialFilterExpression: { 'setup.since': { $type: 'date' } } },
      { key: { 'purge.since': 1 }, partialFilterExpression: { 'purge.since': { $type: 'date' } } },
      // Those without one come first.
      { key: { retainTime: 1 } },
    ]);
    await this.runs.createIndexes([
      { key: { tenant: 1, _id: -1 } },
      { key: { tenant: 1, connection: 1, _id: -1 } },
      { key: { tenant: 1, connection: 1, model: 1, _id: -1 } },
      {
        key: { state: 1, notBefore: 1 },
        partialFilterExpression: { state: { $in: ['WAITING', 'RUNNING'] } },
      },
      {
        key: { tenant: 1, connection: 1, state: 1 },
        partialFilterExpression: { state: { $in: ['WAITING', 'RUNNING', 'PAUSED', 'HELD'] } },
      },
      { key: { queued: 1 }, unique: true, partialFilterExpression: { queued: { $type: 'string' } } },
      { key: { running: 1 }, unique: true, partialFilterExpression: { running: { $type: 'string' } } },
    ]);
    await this.cadences.createIndexes([{ key: { tenant: 1 } }]);
    await this.leases.createIndexes([{ key: { tenant: 1, connection: 1 } }]);
    await this.budgets.createIndexes([{ key: { expireTime: 1 }, expireAfterSeconds: 0 }]);
    await this.db.collection(JOBS_COLLECTION).createIndexes([
      // Agenda's unique() alone does not keep two schedulers from inserting the same wake-up.
      { key: { 'data.key': 1 }, unique: true, partialFilterExpression: { 'data.key': { $type: 'string' } } },
      // Not partial: no query would use it, for MongoDB does not see that a string is of type string.
      { key: { 'data.connection': 1, name: 1 } },
      // Agenda's own index has it look at every job of a name, each time that none is due.
      { key: { name: 1, lockedAt: 1, nextRunAt: 1 } },
    ]);
  }
}
