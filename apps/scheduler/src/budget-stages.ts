import {
  BUDGET_KINDS,
  BUDGET_MEMORY_MS,
  BUDGET_SHARES,
  LEAST_CREDIT,
  LONGEST_BLOCKED_WAIT_MS,
  LONGEST_WAIT_MS,
  SHORTEST_WAIT_MS,
  WAITER_GRACE_MS,
  type BudgetClaim,
  type RateBudget,
} from '@tidemark/model';

/** An expression of the database. */
type Expression = object | string | number;

/** How long a bucket that nobody uses is kept, in milliseconds: nearly all are full again by then. */
const KEPT_MS = 86_400_000;
/** What the stages note for each other. */
const NOTES = ['now', 'fresh', 'place', 'others', 'standing', 'granted', 'waitMs', 'isBlocked'];

/**
 * `takeRequests` of the model as stages of one update, step for step; a spec proves that both agree. `now` is the time in
 * milliseconds. The answer is left in `answer`.
 */
export function takeStages(own: RateBudget, claim: BudgetClaim, now: Expression): Record<string, object>[] {
  const rank = BUDGET_KINDS.indexOf(claim.kind);
  const id = { $literal: claim.id };
  const me = { id, rank, until: { $add: ['$now', '$waitMs', WAITER_GRACE_MS] } };
  return [
    ...fillStages(own, now),
    { $set: { place: { $indexOfArray: ['$waiters.id', id] }, others: waitersBut(claim.id) } },
    { $set: { standing: standing(rank), isBlocked: { $lt: ['$now', '$blockedUntil'] } } },
    { $set: { granted: { $cond: ['$isBlocked', 0, grant(claim.requests)] } } },
    { $set: { waitMs: { $cond: ['$isBlocked', blockedWait(), wait(rank)] } } },
    { $set: { answer: answer(), ...after(rank, me), expireTime: expiry() } },
    { $unset: NOTES },
  ];
}

/** `settleRequests` of the model. */
export function settleStages(id: string, excess: number): Record<string, object>[] {
  const tokens = { $min: ['$budget.burst', { $subtract: ['$tokens', excess] }] };
  return [{ $set: { tokens, waiters: waitersBut(id) } }];
}

/** Moves the end of what the source asked for, never back. */
export function blockStages(ms: number, now: Expression): Record<string, object>[] {
  const blockedUntil = { $max: [{ $ifNull: ['$blockedUntil', 0] }, { $add: [now, ms] }] };
  return [{ $set: { blockedUntil, now } }, { $set: { expireTime: expiry() } }, { $unset: ['now'] }];
}

function fillStages(own: RateBudget, now: Expression): Record<string, object>[] {
  const mine = { ...own, until: { $add: ['$now', BUDGET_MEMORY_MS] } };
  const isOthersLower = {
    $and: [{ $gt: ['$budget.until', '$now'] }, { $lt: ['$budget.requestsPerMinute', own.requestsPerMinute] }],
  };
  const elapsed = { $max: [0, { $subtract: ['$now', '$time'] }] };
  const credits = BUDGET_SHARES.map((share, rank) => ({
    $min: [
      share === 0 ? 0 : { $max: [LEAST_CREDIT, { $multiply: ['$budget.burst', share] }] },
      { $add: [creditOf(rank), { $multiply: ['$fresh', share] }] },
    ],
  }));
  return [
    { $set: { now } },
    {
      $set: {
        budget: { $ifNull: ['$budget', mine] },
        tokens: { $ifNull: ['$tokens', own.burst] },
        time: { $ifNull: ['$time', '$now'] },
        credits: { $ifNull: ['$credits', BUDGET_KINDS.map(() => 0)] },
        blockedUntil: { $ifNull: ['$blockedUntil', 0] },
        waiters: filtered({ $ifNull: ['$waiters', []] }, { $gt: ['$$waiter.until', '$now'] }),
      },
    },
    { $set: { budget: { $cond: [isOthersLower, '$budget', mine] } } },
    {
      $set: {
        fresh: { $divide: [{ $multiply: [elapsed, '$budget.requestsPerMinute'] }, 60_000] },
        time: '$now',
      },
    },
    { $set: { tokens: { $min: ['$budget.burst', { $add: ['$tokens', '$fresh'] }] }, credits } },
  ];
}

function standing(rank: number): object {
  const before = {
    $switch: {
      branches: [
        { case: { $lt: ['$place', 0] }, then: '$others' },
        { case: { $eq: ['$place', 0] }, then: [] },
      ],
      default: { $slice: ['$waiters', '$place'] },
    },
  };
  const owed = BUDGET_KINDS.map((_, other) => ({
    $cond: [{ $and: [other !== rank, { $in: [other, '$others.rank'] }] }, { $floor: creditOf(other) }, 0],
  }));
  return {
    sameAhead: { $size: filtered(before, { $eq: ['$$waiter.rank', rank] }) },
    higher: { $size: filtered('$others', { $lt: ['$$waiter.rank', rank] }) },
    credit: creditOf(rank),
    owed: { $add: owed },
  };
}

function grant(requests: number): object {
  const byShare = { $floor: { $min: ['$tokens', '$standing.credit'] } };
  const free = {
    $cond: [{ $gt: ['$standing.higher', 0] }, 0, { $floor: { $subtract: ['$tokens', '$standing.owed'] } }],
  };
  const granted = { $max: [0, { $min: [requests, { $max: [byShare, free] }] }] };
  return { $cond: [{ $gt: ['$standing.sameAhead', 0] }, 0, granted] };
}

function wait(rank: number): object {
  const ahead = { $add: [1, '$standing.sameAhead', '$standing.higher', '$standing.owed'] };
  const inTurn = msOf({ $subtract: [ahead, '$tokens'] });
  const share = BUDGET_SHARES[rank] ?? 0;
  if (share === 0) return clamped(inTurn, LONGEST_WAIT_MS);
  const byCredit = { $divide: [msOf({ $subtract: [1, '$standing.credit'] }), share] };
  const byShare = { $max: [byCredit, msOf({ $subtract: [1, '$tokens'] })] };
  return clamped({ $min: [inTurn, byShare] }, LONGEST_WAIT_MS);
}

function blockedWait(): object {
  return clamped({ $subtract: ['$blockedUntil', '$now'] }, LONGEST_BLOCKED_WAIT_MS);
}

function answer(): object {
  const cause = {
    $cond: ['$isBlocked', 'SOURCE', { $cond: [{ $gte: ['$tokens', 1] }, 'OTHERS', 'BUDGET'] }],
  };
  return { granted: '$granted', waitMs: '$waitMs', cause };
}

/** What a claim leaves behind: fewer requests, or the claimant in its place. */
function after(rank: number, me: { readonly id: object }): Record<string, object> {
  const replaced = {
    $map: {
      input: '$waiters',
      as: 'waiter',
      in: { $cond: [{ $eq: ['$$waiter.id', me.id] }, me, '$$waiter'] },
    },
  };
  const waiting = { $cond: [{ $lt: ['$place', 0] }, { $concatArrays: ['$others', [me]] }, replaced] };
  const spent = { $max: [0, { $subtract: ['$standing.credit', '$granted'] }] };
  return {
    tokens: { $subtract: ['$tokens', '$granted'] },
    credits: BUDGET_KINDS.map((_, other) => (other === rank ? spent : creditOf(other))),
    waiters: { $cond: [{ $gt: ['$granted', 0] }, '$others', waiting] },
  };
}

/** Kept beyond what the source asked for, too. */
function expiry(): object {
  return { $toDate: { $toLong: { $add: [{ $max: ['$now', '$blockedUntil'] }, KEPT_MS] } } };
}

function waitersBut(id: string): object {
  return filtered('$waiters', { $ne: ['$$waiter.id', { $literal: id }] });
}

function filtered(input: Expression, cond: object): object {
  return { $filter: { input, as: 'waiter', cond } };
}

function creditOf(rank: number): object {
  return { $arrayElemAt: ['$credits', rank] };
}

function msOf(requests: Expression): object {
  return { $divide: [{ $multiply: [requests, 60_000] }, '$budget.requestsPerMinute'] };
}

function clamped(ms: object, longest: number): object {
  return { $min: [longest, { $max: [SHORTEST_WAIT_MS, { $ceil: ms }] }] };
}
