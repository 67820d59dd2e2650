import type { CertificateDocument, RunDocument } from './mongo-collections.js';

/** What a connector said at the end of a snapshot. */
export interface SnapshotEnd {
  readonly endEvidence: string;
  readonly failures: readonly string[];
  readonly expectedRecords: number | undefined;
}

/** Limits beyond which a person decides (R12, R5). */
export interface GuardLimits {
  readonly maxDeletedShare: number;
  readonly minDeletedRecords: number;
  readonly maxQuarantinedShare: number;
}

export const DEFAULT_GUARD: GuardLimits = {
  maxDeletedShare: 0.2,
  minDeletedRecords: 50,
  maxQuarantinedShare: 0.2,
};

const MIN_QUARANTINED = 10;

type Evidence = Pick<RunDocument, 'counters' | 'repeats' | 'duplicateIds' | 'anonymousRejections'>;

/** The certificate of a snapshot (R11): complete only if every condition holds. Without it nothing is deleted. */
export function certify(run: Evidence, end: SnapshotEnd, sameScope: boolean): CertificateDocument {
  // A record that came twice counts once: paging that moved gives one twice and skips another.
  const observedCount = run.counters.read - run.repeats;
  const uniqueIds = run.duplicateIds === 0;
  const failures = [...end.failures];
  if (end.endEvidence === '') failures.push("the source's own end was not seen");
  if (end.expectedRecords !== undefined && end.expectedRecords !== observedCount) {
    failures.push(`the source holds ${end.expectedRecords} records, the snapshot ${observedCount}`);
  }
  if (!uniqueIds) failures.push(`${run.duplicateIds} records came with the id of another one`);
  if (run.anonymousRejections > 0)
    failures.push(`${run.anonymousRejections} records could not be read and named no id`);
  if (!sameScope) failures.push('the fields in scope changed during the snapshot');
  return {
    certified: failures.length === 0,
    failures,
    endEvidence: end.endEvidence,
    ...(end.expectedRecords === undefined ? {} : { expectedCount: end.expectedRecords }),
    observedCount,
    uniqueIds,
  };
}

/** Whether so many deletes look like a fault of the source (R12). `live` counts the model's records before them. */
export function mustHold(deletes: number, live: number, guard: GuardLimits): boolean {
  return deletes >= guard.minDeletedRecords && deletes > live * guard.maxDeletedShare;
}

/** Whether a run quarantined too large a share of what it read (R5). */
export function quarantinedTooMuch(
  counters: { read: number; quarantined: number },
  guard: GuardLimits,
): boolean {
  return (
    counters.quarantined >= MIN_QUARANTINED &&
    counters.quarantined > counters.read * guard.maxQuarantinedShare
  );
}
