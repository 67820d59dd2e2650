/** A writer's right to write for one (connection, model, kind), under an epoch. */
export interface Lease {
  readonly tenantId: string;
  readonly connectionId: string;
  readonly model: string;
  /** In the contract's numbers of SyncKind, which are those of Cause too. */
  readonly kind: number;
  readonly runId: string;
  readonly epoch: number;
}

/** SyncKind.FULL */
export const FULL = 1;
/** SyncKind.DELTA */
export const DELTA = 2;
/** SyncKind.WEBHOOK */
export const WEBHOOK = 3;

/** Key under which a connection's writers take turns in this process. */
export function connectionKey({ tenantId, connectionId }: Pick<Lease, 'tenantId' | 'connectionId'>): string {
  return `${tenantId}\0${connectionId}`;
}

/** Cause.SCOPE: no sync, but a change of the scope. */
export const SCOPE = 4;
