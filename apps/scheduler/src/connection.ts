import type { ConnectionState, LeaseKey, ModelScopeSpec, RateBudget, ScheduleSpec } from '@tidemark/model';

/** A model as discovery found it. */
export interface CatalogueEntry {
  readonly name: string;
  /** JSON Schema as UTF-8 JSON. */
  readonly jsonSchema: Uint8Array;
  readonly primaryKey: readonly string[];
  readonly sensitiveFields: readonly string[];
  readonly indexFields: readonly string[];
  readonly dependsOn: readonly string[];
  readonly warnings: readonly string[];
  readonly capabilities: {
    readonly full: boolean;
    readonly delta: boolean;
    readonly webhook: boolean;
    readonly deltaDeletes: boolean;
  };
}

/** What may be stored for a connection. */
export interface ConnectionScope {
  /** Counts up with every change. */
  readonly revision: number;
  readonly models: readonly ModelScopeSpec[];
}

/** When a run's deletes or faults need a person. */
export interface GuardSpec {
  readonly maxDeletedShare?: number;
  readonly minDeletedRecords?: number;
  readonly maxQuarantinedShare?: number;
}

/** What a person sets of a connection. */
export interface ConnectionSettings {
  readonly connector: string;
  /** JSON, UTF-8. */
  readonly config: Uint8Array;
  readonly sealedCredentials?: Uint8Array;
  readonly scope: ConnectionScope;
  readonly schedule: ScheduleSpec;
  readonly guard: GuardSpec;
  /** Absent: none. */
  readonly budget?: RateBudget;
}

/** Work that a stored change still asks for; done again from the start after a crash. */
export interface PendingSetup {
  /** Models to read in full. */
  readonly backfill: readonly string[];
  /** Models that lost or gained fields: what a held run of theirs would do is about other content. */
  readonly changed?: readonly string[];
  readonly since: Date;
}

/** A change of scope that the store may not have brought to effect on all that it holds. */
export interface PendingPurge {
  /** The scope's revision. */
  readonly revision: number;
  /** When somebody last worked on it. */
  readonly since: Date;
}

/** One tenant's link to one source. */
export interface Connection extends ConnectionSettings {
  readonly tenantId: string;
  readonly id: string;
  readonly state: ConnectionState;
  readonly stateReason: string;
  readonly catalogue: readonly CatalogueEntry[];
  readonly createTime: Date;
  readonly updateTime: Date;
  /** Changes with every write: an update is refused if another came between. */
  readonly revision: number;
  readonly setup?: PendingSetup;
  readonly purge?: PendingPurge;
  /** When retention is next applied to it; absent: it never was. */
  readonly retainTime?: Date;
}

/** Whom something belongs to. */
export interface ConnectionKey {
  readonly tenantId: string;
  readonly id: string;
}

/** `tenant/connection`: the connection's identity in logs, locks and sealed credentials. */
export function connectionKey({ tenantId, id }: ConnectionKey): string {
  return `${tenantId}/${id}`;
}

/** The connection that a run, or a lease, is of. */
export function connectionOf({
  tenantId,
  connectionId,
}: Pick<LeaseKey, 'tenantId' | 'connectionId'>): ConnectionKey {
  return { tenantId, id: connectionId };
}

/** Whether two reads are of one connection, and not of two that were made of one name after the other. */
export function isSameConnection(one: Connection, other: Connection): boolean {
  return (
    connectionKey(one) === connectionKey(other) && one.createTime.getTime() === other.createTime.getTime()
  );
}
