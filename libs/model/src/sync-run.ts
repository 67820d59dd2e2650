import type { ErrorReason } from './errors.js';

/** What a run does. */
export type SyncKind = 'FULL' | 'DELTA' | 'WEBHOOK';

/** What started a run. */
export type SyncTrigger = 'SCHEDULE' | 'MANUAL' | 'WEBHOOK' | 'BACKFILL';

/** Where a run stands. */
export type SyncRunState = 'WAITING' | 'RUNNING' | 'PAUSED' | 'HELD' | 'SUCCEEDED' | 'FAILED' | 'CANCELLED';

/** What a person decided about a held run's deletes. */
export type HeldDecision = 'APPROVED' | 'DISCARDED';

/** What a person can do to a run. */
export type RunAction = 'PAUSE' | 'RESUME' | 'CANCEL' | 'APPROVE' | 'DISCARD';

/** Which states may follow which. A run whose worker died is taken over: RUNNING follows RUNNING. */
export const RUN_TRANSITIONS: Readonly<Record<SyncRunState, readonly SyncRunState[]>> = {
  WAITING: ['RUNNING', 'PAUSED', 'CANCELLED'],
  RUNNING: ['RUNNING', 'WAITING', 'PAUSED', 'HELD', 'SUCCEEDED', 'FAILED', 'CANCELLED'],
  PAUSED: ['WAITING', 'CANCELLED'],
  HELD: ['WAITING', 'CANCELLED'],
  SUCCEEDED: [],
  FAILED: [],
  CANCELLED: [],
};

/** What an action does to a run: it moves at once, its worker is asked to at the next page, or it is there already. */
export type ActionEffect =
  | { readonly move: SyncRunState; readonly decision?: HeldDecision }
  | { readonly ask: 'PAUSE' | 'CANCEL' }
  | { readonly nothing: true };

const NOTHING: ActionEffect = { nothing: true };

/** Effects by action and state; what is missing is a RUN_STATE_CONFLICT. */
const ACTION_EFFECTS: Readonly<Record<RunAction, Partial<Record<SyncRunState, ActionEffect>>>> = {
  PAUSE: { WAITING: { move: 'PAUSED' }, RUNNING: { ask: 'PAUSE' }, PAUSED: NOTHING },
  RESUME: { PAUSED: { move: 'WAITING' }, WAITING: NOTHING },
  CANCEL: {
    WAITING: { move: 'CANCELLED' },
    RUNNING: { ask: 'CANCEL' },
    PAUSED: { move: 'CANCELLED' },
    HELD: { move: 'CANCELLED' },
    CANCELLED: NOTHING,
  },
  APPROVE: { HELD: { move: 'WAITING', decision: 'APPROVED' } },
  DISCARD: { HELD: { move: 'WAITING', decision: 'DISCARDED' } },
};

/** What an action does to a run in this state; undefined if the state does not allow it. */
export function effectOf(action: RunAction, state: SyncRunState): ActionEffect | undefined {
  return ACTION_EFFECTS[action][state];
}

/** Whether a run may go from one state to the other. */
export function canFollow(from: SyncRunState, to: SyncRunState): boolean {
  return RUN_TRANSITIONS[from].includes(to);
}

/** The states from which a run may come to this one. */
export function statesBefore(to: SyncRunState): SyncRunState[] {
  return (Object.keys(RUN_TRANSITIONS) as SyncRunState[]).filter((from) => canFollow(from, to));
}

/** Whether nothing follows this state. */
export function isTerminal(state: SyncRunState): boolean {
  return RUN_TRANSITIONS[state].length === 0;
}

/** Whether a watcher of a run in this state need not wait on: it ended, or a person has to act. */
export function isSettled(state: SyncRunState): boolean {
  return isTerminal(state) || state === 'HELD' || state === 'PAUSED';
}

/** The share of workers' attention: a higher number goes first (R8, R15). */
export function priorityOf(kind: SyncKind, trigger: SyncTrigger): number {
  if (kind === 'WEBHOOK') return 4;
  if (kind === 'DELTA') return 3;
  switch (trigger) {
    case 'MANUAL':
    case 'WEBHOOK':
      return 2;
    case 'BACKFILL':
      return 1;
    case 'SCHEDULE':
      return 0;
  }
}

/** Priority of a run that a person just decided about: it only has to finish. */
export const DECIDED_PRIORITY = 5;

/** Priority of a full sync that let a delta go first: now it is its turn, whatever else came meanwhile. */
export const YIELDED_PRIORITY = 6;

/** A run's id: the time in milliseconds and 80 random bits, so that ids sort by age. `random` has 10 bytes. */
export function runId(now: Date, random: Uint8Array): string {
  const time = now.getTime().toString(16).padStart(12, '0');
  return `run_${time}${[...random.subarray(0, 10)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** What to do about a failure of a run's work. */
export type FailureVerdict =
  /** Try again from the checkpoint after `delayMs`; `failures` is the new count. */
  | { readonly action: 'RETRY'; readonly delayMs: number; readonly failures: number }
  /** This snapshot is worthless; a new run reads the source anew. */
  | { readonly action: 'START_OVER' }
  /** It ends here. */
  | { readonly action: 'FAIL' }
  /** It ends here, and its connection stands until a person does something. */
  | { readonly action: 'STAND'; readonly event: 'CREDENTIALS_REJECTED' }
  /** Another process owns the run: write nothing. */
  | { readonly action: 'DROP' };

/** What is known when a run's work fails. */
export interface FailureFacts {
  readonly reason: ErrorReason;
  /** Failures in a row before this one, without a page between. */
  readonly failures: number;
  /** How long the failing side asked to be left alone. */
  readonly retryAfterMs: number | undefined;
  /** Whether this run already stands for one whose source changed. */
  readonly startedOver: boolean;
  /** 0 to 1; spreads the retries. */
  readonly random: number;
}

/** Failures of the source in a row that a run survives: about half a minute. */
export const RETRY_BUDGET = 5;
/** The same for our own services and database: about a quarter of an hour, for the source is not to blame. */
export const OWN_RETRY_BUDGET = 20;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

/** After so many failures in a row because it is gone, an hour or more, a source is taken for gone for good. */
export const GONE_AFTER = 8;

/** Sorts a failure (R16): only outages are tried again, with exponential, jittered pauses within a budget. */
export function judgeFailure(facts: FailureFacts): FailureVerdict {
  switch (facts.reason) {
    case 'SOURCE_UNAVAILABLE':
    case 'DEADLINE_EXCEEDED':
    case 'PAGE_OUT_OF_ORDER':
      return facts.failures >= RETRY_BUDGET ? { action: 'FAIL' } : retry(facts, facts.failures + 1);
    case 'SERVICE_UNAVAILABLE':
    case 'DATABASE_UNAVAILABLE':
      return facts.failures >= OWN_RETRY_BUDGET ? { action: 'FAIL' } : retry(facts, facts.failures + 1);
    case 'CIRCUIT_OPEN':
      // Nothing was tried, so it costs nothing of the budget; the breaker lets a real attempt through in time.
      return retry(facts, facts.failures);
    case 'SOURCE_CHANGED':
      return facts.startedOver ? { action: 'FAIL' } : { action: 'START_OVER' };
    case 'SOURCE_CREDENTIALS_REJECTED':
      return { action: 'STAND', event: 'CREDENTIALS_REJECTED' };
    case 'LEASE_LOST':
      return { action: 'DROP' };
    default:
      return { action: 'FAIL' };
  }
}

function retry({ failures, retryAfterMs, random }: FailureFacts, counted: number): FailureVerdict {
  const ceiling = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures);
  const delayMs = Math.round(Math.max(retryAfterMs ?? 0, ceiling * (0.5 + random / 2)));
  return { action: 'RETRY', delayMs, failures: counted };
}
