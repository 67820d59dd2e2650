import { cadenceOf, type Cadence } from './sync-policy.js';
import type { SyncKind, SyncTrigger } from './sync-run.js';

/** How far before their bound a model's deltas read again (R10), as late arrivals have shown. */
export interface DeltaOverlap {
  /** In milliseconds; 0: as far as the connector holds for right. */
  readonly ms: number;
  /** Checks in a row that found no late arrival since it last changed. */
  readonly cleanChecks: number;
}

/** Before anything came late. */
export const NO_OVERLAP: DeltaOverlap = { ms: 0, cleanChecks: 0 };

const MINUTE = 60_000;
const LONGEST_MS = 24 * 60 * MINUTE;
/** Nobody knows how late they were: so it grows in large steps, and within six finds reaches a day. */
const GROWTH = 4;
const CHECKS_TO_SHRINK = 7;

/** The overlap after a check of a delta that found so many late arrivals: soon wider, slowly narrower. */
export function adaptOverlap({ ms, cleanChecks }: DeltaOverlap, late: number): DeltaOverlap {
  if (late > 0) return { ms: Math.min(LONGEST_MS, Math.max(MINUTE, ms * GROWTH)), cleanChecks: 0 };
  if (ms === 0) return NO_OVERLAP;
  if (cleanChecks + 1 < CHECKS_TO_SHRINK) return { ms, cleanChecks: cleanChecks + 1 };
  return { ms: ms / 2 < MINUTE ? 0 : ms / 2, cleanChecks: 0 };
}

/** A full run, as far as it matters for the deltas after it. */
interface FullRun {
  readonly model: string;
  readonly kind: SyncKind;
  readonly trigger: SyncTrigger;
  readonly startedOver: boolean;
}

/**
 * Whether a full run leaves its model's deltas as they were, so that the next one is checked for late arrivals. Only while deltas are well:
 * where none succeeded since the full sync before, they go on from this one, which spares them what they have missed; and a
 * backfill, or a run that stands for one whose source changed, changes records that no delta tells of.
 */
export function checksDeltas(
  { model, kind, trigger, startedOver }: FullRun,
  cadences: readonly Cadence[],
): boolean {
  if (kind !== 'FULL' || trigger === 'BACKFILL' || startedOver) return false;
  const [full, delta] = [cadenceOf(cadences, model, 'FULL'), cadenceOf(cadences, model, 'DELTA')];
  if (delta?.lastSuccess === undefined || delta.failuresInARow > 0) return false;
  return full?.lastSuccess === undefined || delta.lastSuccess > full.lastSuccess;
}
