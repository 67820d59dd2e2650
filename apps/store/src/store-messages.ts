import {
  DeleteDecision as Decision,
  RejectReason,
  rejectReasonToJSON,
  type Certificate,
  type Discrepancies,
  type LateArrivals,
  type CommitPageRequest,
  type FinishRunRequest,
  type Guard,
  type Lease as LeaseMessage,
  type Scope,
  type ScopeReceipt,
  type SyncCounters,
} from '@tidemark/contracts';
import { compileScope, scopeContains, TidemarkError, type RejectReasonName } from '@tidemark/model';
import { DEFAULT_GUARD, type GuardLimits } from './certificate.js';
import type { Observation, Rejection } from './commit-plan.js';
import type { Lease } from './lease.js';
import type { CertificateDocument, DiscrepanciesDocument, RunDocument } from './mongo-collections.js';
import type { CommitPage } from './commit-page.js';
import type { Receipt } from './mongo-scope-purge.js';
import type { ScopeSpec } from './scope-change.js';
import type { DeleteDecision, RunEnd } from './mongo-finisher.js';
import { invalidField } from './record-request.js';

const MAX_INDEX_FIELDS = 16;
const MAX_LATE_IDS = 100;

/** A lease from its message. Throws REQUEST_INVALID. */
export function toLease(lease: LeaseMessage | undefined): Lease {
  if (lease === undefined) throw invalidField('lease', 'is required');
  if (lease.tenantId === '' || lease.runId === '') throw invalidField('lease', 'names a tenant and a run');
  const { tenantId, connectionId, model, kind, runId } = lease;
  return { tenantId, connectionId, model, kind, runId, epoch: Number(lease.epoch) };
}

/** A page from its message. Throws REQUEST_INVALID, SOURCE_CONTRACT_BROKEN. */
export function toCommitPage(request: CommitPageRequest): CommitPage {
  return {
    pageNumber: Number(request.pageNumber),
    reading: Number(request.reading),
    observedSequence: Number(request.observedSequence),
    observations: request.records.map(toObservation),
    rejections: request.rejected.map((rejected): Rejection => ({
      id: rejected.id,
      position: rejected.position,
      reason: toReasonName(rejected.reason),
      message: rejected.message,
    })),
    checkpoint: request.checkpoint,
  };
}

function toObservation(record: CommitPageRequest['records'][number]): Observation {
  const { id, fingerprint, deleted } = record;
  if (id === '') throw broken('a record without an id');
  if (!deleted && fingerprint.byteLength !== 16) throw broken('a fingerprint that has not 16 bytes');
  return { id, fingerprint, deleted, payload: record.payload.byteLength > 0 ? record.payload : undefined };
}

/** Records come as their connector made them, so it is to blame for them. */
function broken(what: string): TidemarkError {
  return new TidemarkError('SOURCE_CONTRACT_BROKEN', `the connector sent ${what}`);
}

function toReasonName(reason: RejectReason): RejectReasonName {
  switch (reason) {
    case RejectReason.MALFORMED:
      return 'MALFORMED';
    case RejectReason.ID_MISSING:
      return 'ID_MISSING';
    case RejectReason.ID_DUPLICATE:
      return 'ID_DUPLICATE';
    case RejectReason.TYPE_MISMATCH:
      return 'TYPE_MISMATCH';
    case RejectReason.TOO_LARGE:
      return 'TOO_LARGE';
    case RejectReason.TOO_DEEP:
      return 'TOO_DEEP';
    case RejectReason.ENCODING:
      return 'ENCODING';
    case RejectReason.TRUNCATED:
      return 'TRUNCATED';
    case RejectReason.UNSPECIFIED:
    case RejectReason.UNRECOGNIZED:
      throw invalidField('rejected', `${rejectReasonToJSON(reason)} is no reason`);
  }
}

/** The end of a run from its message. Throws REQUEST_INVALID. */
export function toRunEnd({ end, guard, decision, deltaCheck }: FinishRunRequest): RunEnd {
  if (end === undefined) throw invalidField('end', 'is required');
  return {
    endEvidence: end.endEvidence,
    failures: end.failures,
    expectedRecords: end.expectedRecords === undefined ? undefined : Number(end.expectedRecords),
    deltaCheckpoint: end.deltaCheckpoint,
    guard: toGuard(guard),
    decision: toDecision(decision),
    ...(deltaCheck === undefined ? {} : { deltaCheck: { deletes: deltaCheck.deletes } }),
  };
}

function toGuard(guard: Guard | undefined): GuardLimits {
  return {
    maxDeletedShare: guard?.maxDeletedShare ?? DEFAULT_GUARD.maxDeletedShare,
    minDeletedRecords: guard?.minDeletedRecords ?? DEFAULT_GUARD.minDeletedRecords,
    maxQuarantinedShare: guard?.maxQuarantinedShare ?? DEFAULT_GUARD.maxQuarantinedShare,
  };
}

function toDecision(decision: Decision): DeleteDecision {
  switch (decision) {
    case Decision.UNSPECIFIED:
    case Decision.BY_GUARD:
      return 'BY_GUARD';
    case Decision.APPROVED:
      return 'APPROVED';
    case Decision.DISCARDED:
      return 'DISCARDED';
    case Decision.UNRECOGNIZED:
      throw invalidField('decision', 'is unknown');
  }
}

/** A scope from its message. Throws REQUEST_INVALID. */
export function toScope(scope: Scope | undefined): ScopeSpec {
  // Keys are made of names with colons between them: one in a name would mix two models' records up.
  if (scope?.models.some(({ model }) => model === '' || model.includes(':')))
    throw invalidField('scope', 'a model has a name, without a colon');
  const models = (scope?.models ?? []).map(({ model, fields, indexFields }) => ({
    model,
    fields,
    index: indexFields,
  }));
  if (models.some(({ index }) => index.length > MAX_INDEX_FIELDS))
    throw invalidField('scope', `a model has at most ${MAX_INDEX_FIELDS} index fields`);
  if (models.some(({ fields, index }) => !scopeContains(compileScope(fields), compileScope(index))))
    throw invalidField('scope', 'an index field lies within the fields of its model');
  return { revision: Number(scope?.revision ?? 0n), models };
}

/** What a run counted. */
export function toCounters({ counters, pages }: RunDocument): SyncCounters {
  return {
    pages: BigInt(pages),
    read: BigInt(counters.read),
    created: BigInt(counters.created),
    updated: BigInt(counters.updated),
    unchanged: BigInt(counters.unchanged),
    deleted: BigInt(counters.deleted),
    quarantined: BigInt(counters.quarantined),
    stale: BigInt(counters.stale),
  };
}

/** A certificate's message. */
export function toCertificate(certificate: CertificateDocument | undefined): Certificate | undefined {
  if (certificate === undefined) return undefined;
  const { certified, failures, endEvidence, expectedCount, observedCount, uniqueIds } = certificate;
  return {
    certified,
    failures,
    endEvidence,
    expectedCount: expectedCount === undefined ? undefined : BigInt(expectedCount),
    observedCount: BigInt(observedCount),
    uniqueIds,
  };
}

/** What a full run repaired. */
export function toDiscrepancies(found: DiscrepanciesDocument | undefined): Discrepancies | undefined {
  if (found === undefined) return undefined;
  const { created, updated, deleted, ids } = found;
  return { created: BigInt(created), updated: BigInt(updated), deleted: BigInt(deleted), ids: [...ids] };
}

/** What a delta should have brought. */
export function toLateArrivals(ids: readonly string[] | undefined): LateArrivals | undefined {
  return ids && { count: BigInt(ids.length), ids: ids.slice(0, MAX_LATE_IDS) };
}

/** What a purge removed. */
export function toReceipt(receipt: Receipt): ScopeReceipt {
  return {
    revision: BigInt(receipt.revision),
    narrowedModels: [...receipt.narrowed],
    removedModels: [...receipt.removed],
    changedRecords: BigInt(receipt.changedRecords),
    removedRecords: BigInt(receipt.removedRecords),
    purgedVersions: BigInt(receipt.purgedVersions),
    purgedQuarantine: BigInt(receipt.purgedQuarantine),
    startTime: receipt.startedAt,
    endTime: receipt.endedAt,
  };
}
