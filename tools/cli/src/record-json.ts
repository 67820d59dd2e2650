import {
  Cause,
  Operation,
  RejectReason,
  type Change,
  type QuarantinedRecord,
  type Record as StoredRecord,
  type RecordVersion,
  type WatchChangesResponse,
  MarkerKind,
} from '@tidemark/contracts';
import { enumName, rawJson, type Writable } from './json.js';

/** A record as `--json` shows it; its data is the source's JSON, digit for digit, and null for a tombstone. */
export function recordJson(record: StoredRecord): { readonly [name: string]: Writable } {
  return {
    connectionId: record.connectionId,
    model: record.model,
    id: record.id,
    version: record.version,
    sequence: record.sequence,
    changedAt: record.changedAt,
    deletedAt: record.deletedAt,
    data: rawJson(record.data),
  };
}

/** A change as `--json` shows it: a record and what happened to it. */
export function changeJson(change: Change): Writable {
  return {
    ...(change.record === undefined ? {} : recordJson(change.record)),
    operation: enumName(Operation, change.operation),
    cause: enumName(Cause, change.cause),
    runId: change.runId,
    changedFields: change.changedFields,
  };
}

/** One version of a record as `--json` shows it. */
export function versionJson(version: RecordVersion): Writable {
  return {
    ...(version.record === undefined ? {} : recordJson(version.record)),
    operation: enumName(Operation, version.operation),
    cause: enumName(Cause, version.cause),
    runId: version.runId,
    changedFields: version.changedFields,
    supersededAt: version.supersededAt,
  };
}

/** Where a watch stands after a batch: `--since` goes on from its cursor. */
export function positionJson(batch: WatchChangesResponse): Writable {
  return {
    connectionId: batch.connectionId,
    cursor: batch.cursor,
    completeThrough: batch.completeThrough,
    marker: batch.marker && {
      kind: enumName(MarkerKind, batch.marker.kind),
      model: batch.marker.model,
      runId: batch.marker.runId,
    },
  };
}

/** A quarantined record as `--json` shows it. */
export function quarantinedJson(record: QuarantinedRecord): Writable {
  return { ...record, reason: enumName(RejectReason, record.reason) };
}
