import type { SyncKind } from './sync-run.js';

/** What a lease gives the right to write for. */
export interface LeaseKey {
  readonly tenantId: string;
  readonly connectionId: string;
  readonly model: string;
  readonly kind: SyncKind;
}

/** A lease's identity: `tenant/connection/model/kind`. Neither tenants, connections nor kinds hold a slash. */
export function leaseId({ tenantId, connectionId, model, kind }: LeaseKey): string {
  return `${tenantId}/${connectionId}/${model}/${kind}`;
}

/** How often an owner renews a lease of this length: a third, so that two renewals may fail before it is lost. */
export function renewalInterval(leaseMs: number): number {
  return Math.max(1, Math.floor(leaseMs / 3));
}

/**
 * Until when an owner may count on a lease, on its own monotonic clock: from before it asked, for the answer may have
 * taken long to come.
 */
export function leaseDeadline(askedAt: number, leaseMs: number): number {
  return askedAt + leaseMs;
}
