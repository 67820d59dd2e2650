import {
  MarkerKind,
  Operation,
  rejectReasonFromJSON,
  type Change,
  type QuarantinedRecord,
  type Record as RecordMessage,
  type RecordVersion,
  type RejectReason,
} from '@tidemark/contracts';
import type { FeedChange, FeedCommit } from './change-feed.js';
import type { QuarantineDocument, RecordDocument } from './mongo-collections.js';
import type { PayloadedVersion } from './mongo-history.js';
import type { Payload } from './mongo-packs.js';

const DELETED: number = Operation.DELETED;
const EMPTY = new Uint8Array(0);

/** A stored record in the contract's form. */
export function toRecordMessage(
  document: Pick<RecordDocument, 'm' | 'v' | 's' | 'at' | 'o'>,
  connectionId: string,
  id: string,
  payload: Payload,
): RecordMessage {
  return {
    connectionId,
    model: document.m,
    id,
    version: BigInt(document.v),
    sequence: BigInt(document.s),
    changedAt: document.at,
    deletedAt: document.o === DELETED ? document.at : undefined,
    data: payload ?? EMPTY,
  };
}

/** A version in the contract's form. */
export function toVersionMessage([version, payload]: PayloadedVersion, connectionId: string): RecordVersion {
  return {
    record: toRecordMessage(version, connectionId, version.id, payload),
    operation: version.o,
    cause: version.u,
    runId: version.r,
    changedFields: version.x ?? [],
    supersededAt: version.until,
  };
}

/** A change in the contract's form. */
export function toChangeMessage(change: FeedChange, commit: FeedCommit, connectionId: string): Change {
  return {
    record: {
      connectionId,
      model: commit.model,
      id: change.id,
      version: BigInt(change.version),
      sequence: BigInt(change.sequence),
      changedAt: commit.at,
      deletedAt: change.operation === DELETED ? commit.at : undefined,
      data: change.payload ?? EMPTY,
    },
    operation: change.operation,
    cause: commit.cause,
    runId: commit.runId,
    changedFields: [...change.changedFields],
  };
}

/** A quarantined record in the contract's form. */
export function toQuarantineMessage(document: QuarantineDocument, connectionId: string): QuarantinedRecord {
  return {
    connectionId,
    model: document.m,
    id: document.i,
    position: document.position,
    reason: toRejectReason(document.reason),
    message: document.message,
    runId: document.r,
    rejectedTime: document.at,
  };
}

function toRejectReason(name: string): RejectReason {
  return rejectReasonFromJSON(`REJECT_REASON_${name}`);
}

/** MarkerKind of a stored number. */
export function toMarkerKind(kind: number): MarkerKind {
  return kind in MarkerKind ? kind : MarkerKind.UNSPECIFIED;
}
