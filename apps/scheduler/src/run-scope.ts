import { NO_COUNTERS, type Run } from './run.js';
import type { RunPatch } from './runs.js';

/** Ends a run whose model left the scope; undefined for one that a worker has, or that has ended. */
export function leftScope({ state, model }: Pick<Run, 'state' | 'model'>, now: Date): RunPatch | undefined {
  if (state !== 'WAITING' && state !== 'PAUSED' && state !== 'HELD') return undefined;
  return { state: 'CANCELLED', endTime: now, request: undefined, note: leftScopeNote(model) };
}

/** Why a run of a model that left the scope was cancelled. */
export function leftScopeNote(model: string): string {
  return `model ${model} left the scope`;
}

/**
 * Sends a run whose model lost or gained fields back to the start. What it found out is about other content than is stored now, so
 * what a person decided about it counts no longer. Nothing to do for one that only waits or is paused: the store begins it
 * anew when a worker takes it up. Undefined then, and for one that a worker has, or that has ended.
 */
export function begunAnew(run: Pick<Run, 'state' | 'decision'>, now: Date): RunPatch | undefined {
  const isDecided = run.state === 'WAITING' && run.decision !== undefined;
  return run.state === 'HELD' || isDecided ? afreshPatch(now) : undefined;
}

/** A run back at its start. What failed before counts neither more nor less, and what a person asked of it stands. */
export function afreshPatch(now: Date): RunPatch {
  return {
    state: 'WAITING',
    counters: NO_COUNTERS,
    heldDeletes: 0,
    decision: undefined,
    certificate: undefined,
    discrepancies: undefined,
    end: undefined,
    notBefore: now,
    note: 'begun anew, for its scope changed',
  };
}
