import type { FinishRunResponse } from '@tidemark/contracts';
import {
  isTerminal,
  judgeFailure,
  YIELDED_PRIORITY,
  type FailureVerdict,
  type TidemarkError,
} from '@tidemark/model';
import type { Run } from './run.js';
import { toCertificate, toCounters, toDiscrepancies, toLateArrivals } from './run-messages.js';
import { afreshPatch, leftScopeNote } from './run-scope.js';
import type { RunPatch } from './runs.js';

/** Why work on a run stops at a page boundary before its end. */
export type StopReason = 'PAUSE' | 'CANCEL' | 'SHUTDOWN' | 'SCOPE_CHANGED' | 'SCOPE_LEFT' | 'YIELD';

/** How work on a run came out. */
export type RunOutcome =
  | { readonly kind: 'FINISHED'; readonly response: FinishRunResponse }
  /** `contender` is the run to go first, for YIELD. */
  | { readonly kind: 'STOPPED'; readonly reason: StopReason; readonly contender?: Run }
  /** There is nothing left to work on. */
  | { readonly kind: 'VOID'; readonly note: string }
  | { readonly kind: 'FAILED'; readonly error: TidemarkError; readonly verdict: FailureVerdict };

/** What is known when work on a run fails. */
export interface FailureCircumstances {
  /** Failures in a row before this one. */
  readonly failures: number;
  readonly startedOver: boolean;
  /** Whether this process lost the lease. */
  readonly isLost: boolean;
  /** Why the work was to stop anyway. */
  readonly stopReason: StopReason | undefined;
  /** 0 to 1; spreads the retries. */
  readonly random: number;
}

/** How work on a run came out that failed. */
export function failureOutcome(
  error: TidemarkError,
  { isLost, stopReason, ...facts }: FailureCircumstances,
): RunOutcome {
  const { reason, retryAfterMs } = error;
  // The store refuses a lease that the control database still gives us: one of them went back in time, from a backup or
  // by its clock. Nobody else has the run then, and to drop it would only make us take it up again at once, for ever.
  const isRefused = reason === 'LEASE_LOST' && !isLost;
  const verdict = judgeFailure({
    ...facts,
    retryAfterMs,
    reason: isRefused ? 'SERVICE_UNAVAILABLE' : reason,
  });
  // It would stop at once when it is tried again.
  if (verdict.action === 'RETRY' && stopReason !== undefined) return { kind: 'STOPPED', reason: stopReason };
  return { kind: 'FAILED', error, verdict };
}

/** What an outcome makes of a run; undefined if another process owns it, so that nothing may be written. */
export function settlement(run: Run, outcome: RunOutcome, now: Date): RunPatch | undefined {
  switch (outcome.kind) {
    case 'FINISHED':
      return finished(run, outcome.response, now);
    case 'STOPPED':
      return stopped(run, outcome.reason, outcome.contender, now);
    case 'VOID':
      return { state: 'CANCELLED', endTime: now, note: outcome.note, request: undefined };
    case 'FAILED':
      return failed(run, outcome.error, outcome.verdict, now);
  }
}

function finished(run: Run, response: FinishRunResponse, now: Date): RunPatch {
  const certificate = toCertificate(response);
  const discrepancies = toDiscrepancies(response);
  const lateArrivals = toLateArrivals(response);
  const counted: RunPatch = {
    counters: toCounters(response.counters, run.counters),
    lastSequence: Number(response.lastSequence),
    ...(certificate === undefined ? {} : { certificate }),
    ...(discrepancies === undefined ? {} : { discrepancies }),
    ...(lateArrivals === undefined ? {} : { lateArrivals }),
    failures: 0,
    request: undefined,
    note: undefined,
  };
  if (response.held) return { ...counted, state: 'HELD', heldDeletes: Number(response.heldDeletes) };
  return { ...counted, state: 'SUCCEEDED', heldDeletes: 0, endTime: now };
}

function stopped(
  { model, effort }: Run,
  reason: StopReason,
  contender: Run | undefined,
  now: Date,
): RunPatch {
  switch (reason) {
    case 'PAUSE':
      return {
        state: 'PAUSED',
        request: undefined,
        note: undefined,
        effort: { ...effort, pauses: effort.pauses + 1 },
      };
    case 'YIELD':
      // What a person asked of it meanwhile stays: it is heeded when work on it goes on.
      return {
        state: 'WAITING',
        priority: YIELDED_PRIORITY,
        effort: { ...effort, yields: effort.yields + 1 },
        ...(contender === undefined ? {} : { yieldedTo: contender.id, yieldTime: now }),
        note:
          contender === undefined
            ? undefined
            : `lets a ${contender.kind.toLowerCase()} of ${contender.model} go first`,
      };
    case 'CANCEL':
      return { state: 'CANCELLED', endTime: now, request: undefined, note: undefined };
    case 'SHUTDOWN':
      return { state: 'WAITING', note: 'its worker was stopped' };
    case 'SCOPE_CHANGED':
      return afreshPatch(now);
    case 'SCOPE_LEFT':
      return { state: 'CANCELLED', endTime: now, request: undefined, note: leftScopeNote(model) };
  }
}

function failed(
  { effort }: Run,
  { reason, message }: TidemarkError,
  verdict: FailureVerdict,
  now: Date,
): RunPatch | undefined {
  const error = { reason, message };
  switch (verdict.action) {
    case 'DROP':
      return undefined;
    case 'RETRY':
      return {
        state: 'WAITING',
        error,
        failures: verdict.failures,
        effort: { ...effort, retries: effort.retries + 1 },
        notBefore: new Date(now.getTime() + verdict.delayMs),
        note: undefined,
      };
    case 'START_OVER':
    case 'FAIL':
    case 'STAND':
      return { state: 'FAILED', error, endTime: now, request: undefined, note: undefined };
  }
}

/** Whether a patch ends a run for good. */
export function ends(patch: RunPatch): boolean {
  return patch.state !== undefined && isTerminal(patch.state);
}
