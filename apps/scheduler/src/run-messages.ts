import {
  SyncKind as WireKind,
  SyncRunState as WireState,
  SyncTrigger as WireTrigger,
  type Certificate,
  type Discrepancies,
  type FinishRunResponse,
  type LateArrivals,
  type ReadEnd,
  type RunEffort as RunEffortMessage,
  type SyncCounters,
  type SyncRun,
} from '@tidemark/contracts';
import type { SyncKind, SyncRunState, SyncTrigger } from '@tidemark/model';
import { toDuration } from './connection-messages.js';
import type {
  Run,
  RunCertificate,
  RunCounters,
  RunDiscrepancies,
  RunEffort,
  RunEnd,
  RunLateArrivals,
} from './run.js';
import { summarize } from './run-summary.js';

/** A run's message. */
export function toRunMessage(run: Run, now: Date): SyncRun {
  return {
    id: run.id,
    connectionId: run.connectionId,
    model: run.model,
    kind: toWireKind(run.kind),
    trigger: toWireTrigger(run.trigger),
    state: toWireState(run.state),
    counters: toCountersMessage(run.counters),
    expectedRecords: optionalBigint(run.expectedRecords),
    createTime: run.createTime,
    startTime: run.startTime,
    endTime: run.endTime,
    attempts: run.attempts,
    certificate: run.certificate && toCertificateMessage(run.certificate),
    error: run.error && { reason: run.error.reason, message: run.error.message },
    heldDeletes: BigInt(run.heldDeletes),
    summary: summarize(run, now),
    lastSequence: BigInt(run.lastSequence),
    discrepancies: run.discrepancies && toDiscrepanciesMessage(run.discrepancies),
    effort: toEffortMessage(run.effort),
    lateArrivals: run.lateArrivals && toLateArrivalsMessage(run.lateArrivals),
  };
}

function toEffortMessage({ waitedMs, ...counts }: RunEffort): RunEffortMessage {
  return { ...counts, waited: toDuration(waitedMs) };
}

/** A kind's number on the wire. */
export function toWireKind(kind: SyncKind): WireKind {
  switch (kind) {
    case 'FULL':
      return WireKind.FULL;
    case 'DELTA':
      return WireKind.DELTA;
    case 'WEBHOOK':
      return WireKind.WEBHOOK;
  }
}

function toWireTrigger(trigger: SyncTrigger): WireTrigger {
  switch (trigger) {
    case 'SCHEDULE':
      return WireTrigger.SCHEDULE;
    case 'MANUAL':
      return WireTrigger.MANUAL;
    case 'WEBHOOK':
      return WireTrigger.WEBHOOK;
    case 'BACKFILL':
      return WireTrigger.BACKFILL;
  }
}

/** A state on the wire. */
export function toWireState(state: SyncRunState): WireState {
  switch (state) {
    case 'WAITING':
      return WireState.WAITING;
    case 'RUNNING':
      return WireState.RUNNING;
    case 'PAUSED':
      return WireState.PAUSED;
    case 'HELD':
      return WireState.HELD;
    case 'SUCCEEDED':
      return WireState.SUCCEEDED;
    case 'FAILED':
      return WireState.FAILED;
    case 'CANCELLED':
      return WireState.CANCELLED;
  }
}

function toCountersMessage(counters: RunCounters): SyncCounters {
  return {
    pages: BigInt(counters.pages),
    read: BigInt(counters.read),
    created: BigInt(counters.created),
    updated: BigInt(counters.updated),
    unchanged: BigInt(counters.unchanged),
    deleted: BigInt(counters.deleted),
    quarantined: BigInt(counters.quarantined),
    stale: BigInt(counters.stale),
  };
}

/** Counters from the store. */
export function toCounters(counters: SyncCounters | undefined, before: RunCounters): RunCounters {
  if (counters === undefined) return before;
  return {
    pages: Number(counters.pages),
    read: Number(counters.read),
    created: Number(counters.created),
    updated: Number(counters.updated),
    unchanged: Number(counters.unchanged),
    deleted: Number(counters.deleted),
    quarantined: Number(counters.quarantined),
    stale: Number(counters.stale),
  };
}

/** The certificate that the store gave a finished run. */
export function toCertificate({ certificate }: FinishRunResponse): RunCertificate | undefined {
  if (certificate === undefined) return undefined;
  const { certified, failures, endEvidence, expectedCount, observedCount, uniqueIds } = certificate;
  return {
    certified,
    failures,
    endEvidence,
    ...(expectedCount === undefined ? {} : { expectedCount: Number(expectedCount) }),
    observedCount: Number(observedCount),
    uniqueIds,
  };
}

function toCertificateMessage(certificate: RunCertificate): Certificate {
  return {
    ...certificate,
    failures: [...certificate.failures],
    expectedCount: optionalBigint(certificate.expectedCount),
    observedCount: BigInt(certificate.observedCount),
  };
}

/** What the store says that a finished run repaired. */
export function toDiscrepancies({ discrepancies }: FinishRunResponse): RunDiscrepancies | undefined {
  if (discrepancies === undefined) return undefined;
  const { created, updated, deleted, ids } = discrepancies;
  return { created: Number(created), updated: Number(updated), deleted: Number(deleted), ids };
}

function toDiscrepanciesMessage({ created, updated, deleted, ids }: RunDiscrepancies): Discrepancies {
  return { created: BigInt(created), updated: BigInt(updated), deleted: BigInt(deleted), ids: [...ids] };
}

/** What the store says that a finished delta should have brought. */
export function toLateArrivals({ lateArrivals }: FinishRunResponse): RunLateArrivals | undefined {
  return lateArrivals && { count: Number(lateArrivals.count), ids: lateArrivals.ids };
}

function toLateArrivalsMessage({ count, ids }: RunLateArrivals): LateArrivals {
  return { count: BigInt(count), ids: [...ids] };
}

/** A connector's closing message, to be kept. */
export function toRunEnd({ endEvidence, failures, expectedRecords, deltaCheckpoint }: ReadEnd): RunEnd {
  return {
    endEvidence,
    failures,
    ...(expectedRecords === undefined ? {} : { expectedRecords: Number(expectedRecords) }),
    deltaCheckpoint,
  };
}

/** A kept closing message, for the store. */
export function toReadEnd({ endEvidence, failures, expectedRecords, deltaCheckpoint }: RunEnd): ReadEnd {
  return {
    endEvidence,
    failures: [...failures],
    expectedRecords: optionalBigint(expectedRecords),
    deltaCheckpoint,
  };
}

function optionalBigint(value: number | undefined): bigint | undefined {
  return value === undefined ? undefined : BigInt(value);
}
