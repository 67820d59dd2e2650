import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  BUDGET_KINDS,
  BUDGET_MEMORY_MS,
  BUDGET_SHARES,
  budgetKind,
  newBudget,
  settleRequests,
  takeRequests,
  WAITER_GRACE_MS,
  type BudgetAnswer,
  type BudgetKind,
  type BudgetState,
  type RateBudget,
} from './rate-budget.js';

const BUDGET: RateBudget = { requestsPerMinute: 60, burst: 5 };

/** A bucket over virtual time. */
class Bucket {
  now = 0;
  state: BudgetState;
  readonly grants: { time: number; kind: BudgetKind; granted: number }[] = [];

  constructor(private readonly budget: RateBudget = BUDGET) {
    this.state = newBudget(budget, 0);
  }

  take(id: string, kind: BudgetKind, requests = 1, budget = this.budget): BudgetAnswer {
    const { state, answer } = takeRequests(this.state, budget, { id, kind, requests }, this.now);
    this.state = state;
    if (answer.granted > 0) this.grants.push({ time: this.now, kind, granted: answer.granted });
    return answer;
  }

  empty(): void {
    this.state = { ...this.state, tokens: 0 };
  }

  sum(kind?: BudgetKind): number {
    return this.grants.reduce(
      (sum, grant) => sum + (grant.kind === (kind ?? grant.kind) ? grant.granted : 0),
      0,
    );
  }
}

/** Claimants that ask, wait as told and ask again at once after each grant, until `end`. */
function simulate(
  bucket: Bucket,
  claimants: readonly { id: string; kind: BudgetKind; requests: number }[],
  end: number,
): void {
  const due = new Map(claimants.map(({ id }) => [id, 0]));
  for (;;) {
    const next = claimants.reduce((first, each) =>
      (due.get(each.id) ?? 0) < (due.get(first.id) ?? 0) ? each : first,
    );
    bucket.now = due.get(next.id) ?? 0;
    if (bucket.now > end) return;
    const answer = bucket.take(next.id, next.kind, next.requests);
    due.set(next.id, bucket.now + ('waitMs' in answer ? answer.waitMs : 1));
  }
}

describe('a budget', () => {
  test('grants its burst at once, then its rate', () => {
    const bucket = new Bucket();
    expect(bucket.take('a', 'FULL', 10)).toEqual({ granted: 5 });
    expect(bucket.take('a', 'FULL')).toEqual({ granted: 0, waitMs: 1_000, cause: 'BUDGET' });
    bucket.now = 999;
    expect(bucket.take('a', 'FULL')).toMatchObject({ granted: 0, waitMs: 20 });
    bucket.now = 1_000;
    expect(bucket.take('a', 'FULL')).toEqual({ granted: 1 });
  });

  test('has the more urgent go first, and of one kind the first to come', () => {
    const bucket = new Bucket();
    bucket.empty();
    for (const [id, kind] of [
      ['f', 'FULL'],
      ['d1', 'DELTA'],
      ['d2', 'DELTA'],
      ['w', 'WEBHOOK'],
    ] as const)
      expect(bucket.take(id, kind).granted).toBe(0);
    bucket.now = 1_000;
    expect(bucket.take('f', 'FULL')).toMatchObject({ granted: 0, cause: 'OTHERS' });
    expect(bucket.take('d1', 'DELTA').granted).toBe(0);
    expect(bucket.take('w', 'WEBHOOK').granted).toBe(1);
    bucket.now = 2_000;
    expect(bucket.take('d2', 'DELTA').granted).toBe(0);
    expect(bucket.take('d1', 'DELTA').granted).toBe(1);
    bucket.now = 3_000;
    expect(bucket.take('d2', 'DELTA').granted).toBe(1);
    bucket.now = 4_000;
    expect(bucket.take('f', 'FULL').granted).toBe(1);
  });

  test('forgets who does not come back, and who leaves', () => {
    const bucket = new Bucket();
    bucket.empty();
    bucket.take('w', 'WEBHOOK');
    bucket.now = 1_000 + WAITER_GRACE_MS - 1;
    expect(bucket.take('f', 'FULL', 1)).toMatchObject({ granted: 0, cause: 'OTHERS' });
    bucket.now++;
    expect(bucket.take('f', 'FULL').granted).toBe(1);
    bucket.empty();
    bucket.take('w', 'WEBHOOK');
    bucket.state = settleRequests(bucket.state, 'w', 0);
    bucket.now += 1_000;
    expect(bucket.take('f', 'FULL').granted).toBe(1);
  });

  test('grants nothing while the source wants none', () => {
    const bucket = new Bucket();
    bucket.state = { ...bucket.state, blockedUntil: 10_000 };
    expect(bucket.take('w', 'WEBHOOK')).toEqual({ granted: 0, waitMs: 10_000, cause: 'SOURCE' });
    bucket.now = 10_000;
    expect(bucket.take('w', 'WEBHOOK').granted).toBe(1);
  });

  test('takes back what was not used, and waits for what was used beyond', () => {
    const bucket = new Bucket();
    bucket.take('a', 'DELTA', 5);
    bucket.state = settleRequests(bucket.state, 'a', -3);
    expect(bucket.take('a', 'DELTA', 5)).toEqual({ granted: 3 });
    bucket.state = settleRequests(bucket.state, 'a', 2);
    expect(bucket.take('a', 'DELTA')).toMatchObject({ granted: 0, waitMs: 3_000 });
    bucket.state = settleRequests(bucket.state, 'a', -100);
    expect(bucket.state.tokens).toBe(BUDGET.burst);
  });

  test('is the lowest of those that its users have, until that is no longer used', () => {
    const bucket = new Bucket();
    const high = { requestsPerMinute: 600, burst: 50 };
    bucket.empty();
    bucket.now = 1_000;
    expect(bucket.take('h', 'DELTA', 50, high)).toEqual({ granted: 1 });
    bucket.now = BUDGET_MEMORY_MS;
    expect(bucket.take('h', 'DELTA', 50, high)).toEqual({ granted: 50 });
    expect(bucket.take('l', 'DELTA').granted).toBe(0);
    expect(bucket.state.budget).toMatchObject(BUDGET);
  });

  test.each([
    ['WEBHOOK', 'WEBHOOK', 'WEBHOOK'],
    ['DELTA', 'MANUAL', 'DELTA'],
    ['FULL', 'MANUAL', 'MANUAL'],
    ['FULL', 'BACKFILL', 'FULL'],
    ['FULL', 'SCHEDULE', 'FULL'],
  ] as const)('a %s run started by %s asks as %s', (kind, trigger, expected) => {
    expect(budgetKind(kind, trigger)).toBe(expected);
  });
});

const budgets = fc.record({
  requestsPerMinute: fc.integer({ min: 1, max: 6_000 }),
  burst: fc.integer({ min: 1, max: 200 }),
});
const kinds = fc.constantFrom(...BUDGET_KINDS);
const asks = fc.array(
  fc.record({
    id: fc.integer({ min: 0, max: 5 }),
    kind: kinds,
    requests: fc.integer({ min: 1, max: 20 }),
    after: fc.integer({ min: 0, max: 5_000 }),
  }),
  { maxLength: 80 },
);

describe('whatever is asked of a budget', () => {
  test('no span of time gets more than the burst and what the rate gives for it', () => {
    fc.assert(
      fc.property(budgets, asks, (budget, all) => {
        const bucket = new Bucket(budget);
        for (const { id, kind, requests, after } of all) {
          bucket.now += after;
          bucket.take(`${kind}-${id}`, kind, requests);
        }
        const { grants } = bucket;
        grants.forEach((from, start) => {
          let sum = 0;
          for (const { time, granted } of grants.slice(start)) {
            sum += granted;
            const most = budget.burst + ((time - from.time) * budget.requestsPerMinute) / 60_000;
            expect(sum).toBeLessThanOrEqual(most + 1e-6);
          }
        });
      }),
    );
  });

  test('each kind gets its share under any load of the more urgent, and all of it is used', () => {
    const claimants = fc.array(fc.record({ kind: kinds, requests: fc.integer({ min: 1, max: 10 }) }), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(
        budgets.filter(({ requestsPerMinute: rate }) => rate >= 10 && rate <= 600),
        claimants,
        (budget, load) => {
          const bucket = new Bucket(budget);
          const minutes = Math.ceil(300 / budget.requestsPerMinute) + 1;
          const all = [...load, { kind: 'FULL' as const, requests: 1 }].map((each, id) => ({
            ...each,
            id: `${id}`,
          }));
          simulate(bucket, all, minutes * 60_000);
          const given = minutes * budget.requestsPerMinute;
          // Asking again takes a moment, and a cut-off end leaves a request or two.
          expect(bucket.sum()).toBeGreaterThanOrEqual(given * 0.9 - 3);
          for (const kind of new Set(all.map((each) => each.kind))) {
            const share = BUDGET_SHARES[BUDGET_KINDS.indexOf(kind)] ?? 0;
            expect(bucket.sum(kind)).toBeGreaterThanOrEqual(given * share * 0.9 - 3);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test('beyond the shares of the others the most urgent gets all', () => {
    fc.assert(
      fc.property(fc.integer({ min: 30, max: 600 }), (requestsPerMinute) => {
        const bucket = new Bucket({ requestsPerMinute, burst: 5 });
        const all = BUDGET_KINDS.map((kind) => ({ id: kind, kind, requests: 1 }));
        simulate(bucket, all, 5 * 60_000);
        expect(bucket.sum('WEBHOOK') / bucket.sum()).toBeGreaterThan(0.45);
      }),
      { numRuns: 20 },
    );
  });

  test('nobody waits for ever behind others of its kind', () => {
    const bucket = new Bucket({ requestsPerMinute: 120, burst: 1 });
    const all = [1, 2, 3, 4, 5, 6].map((id) => ({ id: `d${id}`, kind: 'DELTA' as const, requests: 1 }));
    const served = new Map<string, number>();
    const take = bucket.take.bind(bucket);
    bucket.take = (id, ...rest) => {
      const answer = take(id, ...rest);
      served.set(id, (served.get(id) ?? 0) + answer.granted);
      return answer;
    };
    simulate(bucket, all, 60_000);
    const counts = [...served.values()];
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(Math.max(...counts) - 2);
  });
});
