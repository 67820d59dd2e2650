import type { SyncKind, SyncTrigger } from './sync-run.js';

/** What a source lets one set of credentials do. */
export interface RateBudget {
  /** 1 to 1,000,000. */
  readonly requestsPerMinute: number;
  /** Requests at once after a quiet time; 1 to 1,000,000. */
  readonly burst: number;
}

/** What requests are for (R15); the more urgent first. */
export const BUDGET_KINDS = ['WEBHOOK', 'DELTA', 'MANUAL', 'FULL'] as const;

/** One of them. */
export type BudgetKind = (typeof BUDGET_KINDS)[number];

/**
 * What part of the rate a kind gets however much the more urgent ones ask for, in their order. What a kind does not ask for goes
 * to the others, the most urgent first.
 */
export const BUDGET_SHARES: readonly number[] = [0, 0.1, 0.2, 0.2];

/** How long the lowest of the budgets that several connections give the same credentials holds after its last use, in milliseconds. */
export const BUDGET_MEMORY_MS = 60_000;
/** How long after the moment at which it was to ask again a waiter that does not loses its place, in milliseconds. */
export const WAITER_GRACE_MS = 3_000;
/** What a kind's share grows to at least while nobody uses it. */
export const LEAST_CREDIT = 3;
/** The shortest time after which to ask again, in milliseconds. */
export const SHORTEST_WAIT_MS = 20;
/** The longest, in milliseconds: who waits ahead may have gone. */
export const LONGEST_WAIT_MS = 5_000;
/** The longest while the source wants no requests, in milliseconds. */
export const LONGEST_BLOCKED_WAIT_MS = 30_000;

/** Somebody who asked in vain and will ask again. */
export interface BudgetWaiter {
  readonly id: string;
  /** Place of its kind in BUDGET_KINDS. */
  readonly rank: number;
  /** It has given up unless it asks again by then. */
  readonly until: number;
}

/** A token bucket, and who waits at it. Times are milliseconds of one clock. */
export interface BudgetState {
  /** The budget that it was last filled by, and until when that goes before a higher one. */
  readonly budget: RateBudget & { readonly until: number };
  /** Requests that may be made now; below 0 after more were made than were taken. */
  readonly tokens: number;
  /** When it was last filled. */
  readonly time: number;
  /** By rank: what of the kind's share it has not had yet. */
  readonly credits: readonly number[];
  /** The source wants no requests before. */
  readonly blockedUntil: number;
  /** In the order in which they came. */
  readonly waiters: readonly BudgetWaiter[];
}

/** A wish to make requests. */
export interface BudgetClaim {
  /** Whose. */
  readonly id: string;
  readonly kind: BudgetKind;
  /** How many at most; 1 or more. */
  readonly requests: number;
}

/** What a claimant waits for. */
export type BudgetCause = 'SOURCE' | 'BUDGET' | 'OTHERS';

/** How many requests may be made, or after how many milliseconds to ask again, and why. */
export type BudgetAnswer =
  | { readonly granted: number }
  | { readonly granted: 0; readonly waitMs: number; readonly cause: BudgetCause };

/** What a run's requests are for. */
export function budgetKind(kind: SyncKind, trigger: SyncTrigger): BudgetKind {
  if (kind !== 'FULL') return kind;
  return trigger === 'MANUAL' ? 'MANUAL' : 'FULL';
}

/** A full bucket. */
export function newBudget(budget: RateBudget, now: number): BudgetState {
  return {
    budget: { ...budget, until: now + BUDGET_MEMORY_MS },
    tokens: budget.burst,
    time: now,
    credits: BUDGET_KINDS.map(() => 0),
    blockedUntil: 0,
    waiters: [],
  };
}

/**
 * Takes requests from a bucket, or a place among those who wait. Of one kind the first to come goes first; a more urgent kind goes
 * before the others, but not beyond what these have to have (BUDGET_SHARES). In no span of time are more granted than the burst and
 * what the rate gives for it. Where connections with the same credentials have different budgets, the lowest counts.
 */
export function takeRequests(
  before: BudgetState,
  own: RateBudget,
  claim: BudgetClaim,
  now: number,
): { readonly state: BudgetState; readonly answer: BudgetAnswer } {
  const filled = fill(before, own, now);
  const standing = standingOf(filled, claim);
  const { rank, place, others } = standing;
  const isBlocked = now < filled.blockedUntil;
  const granted = isBlocked ? 0 : grantOf(filled.tokens, standing, claim.requests);
  if (granted > 0) {
    const credits = filled.credits.map((credit, index) =>
      index === rank ? Math.max(0, credit - granted) : credit,
    );
    return {
      state: { ...filled, tokens: filled.tokens - granted, credits, waiters: others },
      answer: { granted },
    };
  }
  const waitMs = isBlocked
    ? clamp(filled.blockedUntil - now, LONGEST_BLOCKED_WAIT_MS)
    : waitOf(filled, standing);
  const me = { id: claim.id, rank, until: now + waitMs + WAITER_GRACE_MS };
  const waiters =
    place < 0 ? [...others, me] : filled.waiters.map((waiter, index) => (index === place ? me : waiter));
  const cause = isBlocked ? 'SOURCE' : filled.tokens >= 1 ? 'OTHERS' : 'BUDGET';
  return { state: { ...filled, waiters }, answer: { granted: 0, waitMs, cause } };
}

/** Corrects a bucket by requests that were made beyond those taken, or, below 0, not made; and gives up its claimant's place. */
export function settleRequests(state: BudgetState, id: string, excess: number): BudgetState {
  return {
    ...state,
    tokens: Math.min(state.budget.burst, state.tokens - excess),
    waiters: state.waiters.filter((waiter) => waiter.id !== id),
  };
}

function fill(before: BudgetState, own: RateBudget, now: number): BudgetState {
  const isOthersLower = before.budget.until > now && before.budget.requestsPerMinute < own.requestsPerMinute;
  const budget = isOthersLower ? before.budget : { ...own, until: now + BUDGET_MEMORY_MS };
  const elapsed = Math.max(0, now - before.time);
  const fresh = (elapsed * budget.requestsPerMinute) / 60_000;
  return {
    ...before,
    budget,
    time: now,
    waiters: before.waiters.filter(({ until }) => until > now),
    tokens: Math.min(budget.burst, before.tokens + fresh),
    credits: BUDGET_SHARES.map((share, rank) =>
      Math.min(mostCredit(share, budget.burst), (before.credits[rank] ?? 0) + fresh * share),
    ),
  };
}

/** Enough for a kind that has to let another one's share go first to lose nothing meanwhile. */
function mostCredit(share: number, burst: number): number {
  return share === 0 ? 0 : Math.max(LEAST_CREDIT, burst * share);
}

/** Where a claimant stands among those who wait. */
interface Standing {
  readonly rank: number;
  /** Its place in the queue; -1 if it is not there yet. */
  readonly place: number;
  readonly others: readonly BudgetWaiter[];
  /** Those of its kind who came before it. */
  readonly sameAhead: number;
  readonly higher: number;
  /** What its kind's share still gives it. */
  readonly credit: number;
  /** Requests that are kept for the shares of others who wait. */
  readonly owed: number;
}

function standingOf({ waiters, credits }: BudgetState, { id, kind }: BudgetClaim): Standing {
  const rank = BUDGET_KINDS.indexOf(kind);
  const place = waiters.findIndex((waiter) => waiter.id === id);
  const others = waiters.filter((waiter) => waiter.id !== id);
  const before = place < 0 ? others : waiters.slice(0, place);
  const owed = credits.map((credit, other) =>
    other !== rank && others.some((waiter) => waiter.rank === other) ? Math.floor(credit) : 0,
  );
  return {
    rank,
    place,
    others,
    sameAhead: before.filter((waiter) => waiter.rank === rank).length,
    higher: others.filter((waiter) => waiter.rank < rank).length,
    credit: credits[rank] ?? 0,
    owed: owed.reduce((sum, each) => sum + each, 0),
  };
}

function grantOf(tokens: number, { sameAhead, higher, credit, owed }: Standing, requests: number): number {
  if (sameAhead > 0) return 0;
  const byShare = Math.floor(Math.min(tokens, credit));
  const free = higher > 0 ? 0 : Math.floor(tokens - owed);
  return Math.max(0, Math.min(requests, Math.max(byShare, free)));
}

/** When there may be a request for a claimant: once those ahead have had theirs, or once its kind's share gives one. */
function waitOf(
  { budget, tokens }: BudgetState,
  { rank, credit, sameAhead, higher, owed }: Standing,
): number {
  const msOf = (requests: number): number => (requests * 60_000) / budget.requestsPerMinute;
  const inTurn = msOf(1 + sameAhead + higher + owed - tokens);
  const share = BUDGET_SHARES[rank] ?? 0;
  if (share === 0) return clamp(inTurn, LONGEST_WAIT_MS);
  const byShare = Math.max(msOf(1 - credit) / share, msOf(1 - tokens));
  return clamp(Math.min(inTurn, byShare), LONGEST_WAIT_MS);
}

function clamp(ms: number, longest: number): number {
  return Math.min(longest, Math.max(SHORTEST_WAIT_MS, Math.ceil(ms)));
}
