import type { ScheduledKind, SyncInterval } from './schedule.js';
import { spreadOf } from './spread.js';
import type { SyncKind } from './sync-run.js';

/** What became of the runs of one kind of a model. */
export interface Cadence {
  readonly model: string;
  readonly kind: SyncKind;
  /** When the policy last asked for one. */
  readonly lastRequest?: Date;
  readonly lastStart?: Date;
  /** When the last one that succeeded ended; `lastFailure` likewise. */
  readonly lastSuccess?: Date;
  readonly lastFailure?: Date;
  readonly failuresInARow: number;
}

/** A run that has not ended. */
export interface StandingRun {
  readonly model: string;
  readonly kind: SyncKind;
  readonly state: 'WAITING' | 'RUNNING' | 'PAUSED';
}

/** What a connection's next syncs follow from. */
export interface SyncFacts {
  /** `tenant/connection`: its syncs keep a distance to those of others that follows from it. */
  readonly connection: string;
  /** When the connection was made. */
  readonly since: Date;
  /** Since when there have been schedulers at work without a break. */
  readonly awakeSince: Date;
  /** Why it does not sync at all; absent: it does. */
  readonly stopped?: string;
  readonly intervals: readonly SyncInterval[];
  readonly cadences: readonly Cadence[];
  readonly standing: readonly StandingRun[];
}

/** Why a sync comes when it does. */
export type SyncCause =
  /** Its interval after the last start, or after the connection was made if there was none. */
  | { readonly is: 'INTERVAL'; readonly last?: Date }
  /** Its interval after the start of a full sync, which brought all that a delta would have. */
  | { readonly is: 'COVERED'; readonly full: Date }
  | { readonly is: 'BACKING_OFF'; readonly failures: number; readonly last: Date }
  /** It was due while no scheduler was at work. */
  | { readonly is: 'DOWNTIME'; readonly missed: Date }
  | { readonly is: 'WAITING' }
  | { readonly is: 'RUNNING'; readonly since?: Date }
  /** A person paused such a run. */
  | { readonly is: 'PAUSED' }
  /** A delta goes on from where a full sync ended, and none has. */
  | { readonly is: 'NO_FULL_YET' }
  | { readonly is: 'STOPPED'; readonly reason: string };

/** A sync to come. */
export interface PlannedSync extends SyncInterval {
  /** Absent: not before something else happens, which `cause` tells. */
  readonly time?: Date;
  readonly cause: SyncCause;
}

/** What to do for a connection. */
export interface SyncPlan {
  /** To be asked for now, those that go first first. */
  readonly due: readonly PlannedSync[];
  /** The next of each kind of each model, those that are due among them. */
  readonly next: readonly PlannedSync[];
  /** When to plan again if nothing happens before; absent: nothing comes by itself. */
  readonly wakeTime?: Date;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** A run's end makes a new plan. Should a crash come between, that plan is made this much later. */
const RECHECK_MS = 5 * MINUTE;
const SHORTEST_RECHECK_MS = MINUTE;
const LONGEST_SLEEP_MS = HOUR;
const LONGEST_BACKOFF_MS = HOUR;
const FIRST_BACKOFF_MS: Readonly<Record<ScheduledKind, number>> = { DELTA: 30 * SECOND, FULL: 5 * MINUTE };
const LONGEST_CATCH_UP_MS = 5 * MINUTE;
/** Intervals are this much shorter for some, so that what began together drifts apart; never longer, for they are promises. */
const JITTER = 0.1;
const PROVEN_MS = 24 * HOUR;

/**
 * When a connection's syncs come next (R8), as a function of what happened. Intervals count from the start of the run before;
 * of one kind of a model there is never a second one beside one that waits or runs.
 */
export function planSyncs(now: Date, facts: SyncFacts): SyncPlan {
  const next = facts.intervals.map((interval) => plan(now, facts, interval));
  const due = next
    .filter(({ time, cause }) => isOpen(cause) && time !== undefined && time <= now)
    .sort((a, b) => Number(a.kind === 'FULL') - Number(b.kind === 'FULL'));
  if (next.length === 0) return { due, next };
  const wakes = next.map((sync) => wakeTime(now, sync));
  return { due, next, wakeTime: new Date(Math.min(now.getTime() + LONGEST_SLEEP_MS, ...wakes)) };
}

/** The cadence of one kind of a model, if there is one. */
export function cadenceOf<C extends Pick<Cadence, 'model' | 'kind'>>(
  cadences: readonly C[],
  model: string,
  kind: SyncKind,
): C | undefined {
  return cadences.find((each) => each.model === model && each.kind === kind);
}

/** Whether a model's webhooks have proven that they come: one was followed within a day, and none failed since. */
export function isPushHealthy(now: Date, webhooks: Cadence | undefined): boolean {
  const last = webhooks?.lastSuccess;
  return last !== undefined && webhooks?.failuresInARow === 0 && now.getTime() - last.getTime() < PROVEN_MS;
}

/** The longest that a sync which failed again and again is left alone. */
export function longestBackoff({ kind, intervalMs }: SyncInterval): number {
  return Math.max(FIRST_BACKOFF_MS[kind], Math.min(intervalMs, LONGEST_BACKOFF_MS));
}

/** The time over which syncs that a downtime made late are spread: so they at most double the rate of those in time. */
export function catchUpWindow(intervalMs: number): number {
  return Math.min(intervalMs / 2, LONGEST_CATCH_UP_MS);
}

/** Whether a sync comes by its time alone. */
function isOpen({ is }: SyncCause): boolean {
  return is === 'INTERVAL' || is === 'COVERED' || is === 'BACKING_OFF' || is === 'DOWNTIME';
}

function wakeTime(now: Date, { time, cause, intervalMs }: PlannedSync): number {
  const soon = now.getTime() + Math.max(SHORTEST_RECHECK_MS, Math.min(intervalMs, RECHECK_MS));
  if (time === undefined) return soon;
  // One that is due is asked for now, and stands from then on.
  return isOpen(cause) && time > now ? time.getTime() : Math.max(time.getTime(), soon);
}

function plan(now: Date, facts: SyncFacts, interval: SyncInterval): PlannedSync {
  if (facts.stopped !== undefined) return { ...interval, cause: { is: 'STOPPED', reason: facts.stopped } };
  const sync = inTime(facts, interval);
  const state = standing(facts, interval);
  switch (state) {
    case 'WAITING':
      return { ...interval, time: now, cause: { is: state } };
    case 'RUNNING': {
      const last = cadenceOf(facts.cadences, interval.model, interval.kind)?.lastStart;
      const time = sync.time === undefined || sync.time < now ? now : sync.time;
      return { ...interval, time, cause: { is: state, ...(last === undefined ? {} : { since: last }) } };
    }
    case 'PAUSED':
      return { ...interval, cause: { is: state } };
    case undefined:
      return awake(facts, sync);
  }
}

/** Its time as if there always were a scheduler at work. */
function inTime(facts: SyncFacts, interval: SyncInterval): PlannedSync & { readonly time?: Date } {
  const cadence = cadenceOf(facts.cadences, interval.model, interval.kind);
  const started = later(cadence?.lastRequest, cadence?.lastStart);
  const full = interval.kind === 'DELTA' ? cadenceOf(facts.cadences, interval.model, 'FULL') : undefined;
  if (interval.kind === 'DELTA' && cadence?.lastSuccess === undefined && lacksFull(facts, interval, full))
    return { ...interval, cause: { is: 'NO_FULL_YET' } };
  const covered = coveredFrom(full);
  if (cadence !== undefined && cadence.failuresInARow > 0 && cadence.lastFailure !== undefined) {
    const { failuresInARow: failures, lastFailure: last } = cadence;
    // What came after it without a success was given up, by a person or with a change of scope.
    const from = started !== undefined && started > last ? started : last;
    const time = after(from, backoff(facts, interval, failures));
    if (covered === undefined || covered < last)
      return { ...interval, time, cause: { is: 'BACKING_OFF', failures, last } };
  }
  const wait = interval.intervalMs * (1 - JITTER * spread(facts, interval));
  if (covered !== undefined && (started === undefined || covered > started))
    return { ...interval, time: after(covered, wait), cause: { is: 'COVERED', full: covered } };
  if (started !== undefined)
    return { ...interval, time: after(started, wait), cause: { is: 'INTERVAL', last: started } };
  // Connections made together go apart at once.
  const first = interval.intervalMs * (1 - spread(facts, interval) / 2);
  return { ...interval, time: after(facts.since, first), cause: { is: 'INTERVAL' } };
}

/** Whether a model has yet to see the full sync that its deltas go on from, and will. */
function lacksFull(
  { intervals, standing: runs }: SyncFacts,
  { model }: SyncInterval,
  full?: Cadence,
): boolean {
  if (full?.lastSuccess !== undefined) return false;
  const isFull = (each: { model: string; kind: SyncKind }) => each.model === model && each.kind === 'FULL';
  return intervals.some(isFull) || runs.some(isFull);
}

/** From when on a full sync that succeeded saw what happened, if that is known: it is not once another one has started. */
function coveredFrom(full: Cadence | undefined): Date | undefined {
  if (full?.lastSuccess === undefined || full.lastStart === undefined) return undefined;
  return full.lastStart <= full.lastSuccess ? full.lastStart : undefined;
}

/** Twice as long after each failure, a little shorter for some. */
function backoff(facts: SyncFacts, interval: SyncInterval, failures: number): number {
  const doubled = FIRST_BACKOFF_MS[interval.kind] * 2 ** Math.min(failures - 1, 30);
  return Math.min(doubled, longestBackoff(interval)) * (1 - JITTER * spread(facts, interval));
}

/** What was due while nobody was at work comes spread over a time, those with short intervals first. */
function awake(facts: SyncFacts, sync: PlannedSync): PlannedSync {
  const { awakeSince } = facts;
  if (sync.time === undefined || sync.time >= awakeSince) return sync;
  const time = after(awakeSince, catchUpWindow(sync.intervalMs) * spread(facts, sync));
  return { ...sync, time, cause: { is: 'DOWNTIME', missed: sync.time } };
}

/** How the run of a key stands: what goes on counts more than what is paused. */
function standing(
  { standing: runs }: SyncFacts,
  { model, kind }: SyncInterval,
): StandingRun['state'] | undefined {
  let found: StandingRun['state'] | undefined;
  for (const run of runs) {
    if (run.model !== model || run.kind !== kind) continue;
    if (run.state === 'RUNNING') return 'RUNNING';
    if (found !== 'WAITING') found = run.state;
  }
  return found;
}

function spread({ connection }: SyncFacts, { model, kind }: SyncInterval): number {
  return spreadOf(`${connection}/${model}/${kind}`);
}

function later(a: Date | undefined, b: Date | undefined): Date | undefined {
  return a === undefined || (b !== undefined && b > a) ? b : a;
}

function after(time: Date, ms: number): Date {
  return new Date(time.getTime() + Math.round(ms));
}
