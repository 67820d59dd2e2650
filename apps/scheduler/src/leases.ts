import type { LeaseKey } from '@tidemark/model';

/** A lease that this process got. */
export interface OwnedLease {
  readonly key: LeaseKey;
  readonly runId: string;
  /** Grows with each acquisition of the key, for ever. */
  readonly epoch: number;
  readonly owner: string;
  /** Until when it may be relied on without a renewal, on this process's monotonic clock in milliseconds. */
  readonly deadline: number;
}

/** The right to work on a (connection, model, kind), for one process at a time. */
export interface Leases {
  /** Takes a free or expired lease; undefined while another owner holds it. */
  acquire(key: LeaseKey, runId: string, owner: string): Promise<OwnedLease | undefined>;
  /** Prolongs a lease; undefined once it is another's or gone. */
  renew(lease: OwnedLease): Promise<OwnedLease | undefined>;
  /** Gives a lease back; nothing happens if it is another's by now. */
  release(lease: OwnedLease): Promise<void>;
  /** Which of these runs are worked on under a lease that has not expired. */
  alive(runs: readonly (LeaseKey & { readonly id: string })[]): Promise<ReadonlySet<string>>;
}
