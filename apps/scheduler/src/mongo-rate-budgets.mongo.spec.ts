import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  BUDGET_KINDS,
  newBudget,
  settleRequests,
  takeRequests,
  type BudgetClaim,
  type BudgetState,
  type RateBudget,
} from '@tidemark/model';
import fc from 'fast-check';
import { settleStages, takeStages } from './budget-stages.js';
import { MongoRateBudgets } from './mongo-rate-budgets.js';
import { testControlDatabase } from './testing/control-database.js';

const BUDGET: RateBudget = { requestsPerMinute: 60, burst: 5 };
/** Slow enough for a test to see no request come in again. */
const SLOW: RateBudget = { requestsPerMinute: 1, burst: 20 };
const START = Date.UTC(2026, 0, 1);

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let budgets: MongoRateBudgets;

beforeAll(async () => {
  database = await testControlDatabase();
  budgets = new MongoRateBudgets(database.db);
});
afterAll(() => database.drop());
beforeEach(async () => void (await database.db.budgets.deleteMany({})));

function claim(id: string, changes: Partial<BudgetClaim> = {}): BudgetClaim {
  return { id, kind: 'DELTA', requests: 1, ...changes };
}

/** One claim as the database judges it at a time of the test's own. */
async function takeAt(budget: RateBudget, wish: BudgetClaim, now: number): Promise<unknown> {
  const document = await database.db.budgets.findOneAndUpdate({ _id: 'a' }, takeStages(budget, wish, now), {
    upsert: true,
    returnDocument: 'after',
  });
  return document?.answer;
}

const requests = fc.integer({ min: 1, max: 12 });
const steps = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('take' as const),
        id: fc.constantFrom('r1', 'r2', '$r3', 'r4'),
        kind: fc.constantFrom(...BUDGET_KINDS),
        requests,
        budget: fc.constantFrom(
          BUDGET,
          { requestsPerMinute: 7, burst: 1 },
          { requestsPerMinute: 500, burst: 40 },
        ),
        after: fc.integer({ min: -50, max: 4_000 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('settle' as const),
        id: fc.constantFrom('r1', '$r3'),
        excess: fc.integer({ min: -4, max: 4 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('block' as const), ms: fc.integer({ min: 0, max: 3_000 }) }),
    },
  ),
  { minLength: 1, maxLength: 40 },
);

test('the database and the model agree on every history', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      await database.db.budgets.deleteMany({});
      let now = START;
      let state: BudgetState | undefined;
      for (const step of history) {
        if (step.do === 'take') {
          now += step.after;
          const taken = takeRequests(state ?? newBudget(step.budget, now), step.budget, step, now);
          state = taken.state;
          expect(await takeAt(step.budget, step, now)).toMatchObject(taken.answer);
        } else if (state !== undefined && step.do === 'settle') {
          state = settleRequests(state, step.id, step.excess);
          await database.db.budgets.updateOne({ _id: 'a' }, settleStages(step.id, step.excess));
        } else if (state !== undefined && step.do === 'block') {
          state = { ...state, blockedUntil: Math.max(state.blockedUntil, now + step.ms) };
          await database.db.budgets.updateOne({ _id: 'a' }, { $set: { blockedUntil: state.blockedUntil } });
        }
        if (state === undefined) continue;
        const {
          _id,
          answer: _answer,
          expireTime: _expireTime,
          ...stored
        } = (await database.db.budgets.findOne({ _id: 'a' })) ?? {};
        expect(stored).toEqual(state);
      }
    }),
    { numRuns: 60 },
  );
});

describe('a budget in the database', () => {
  test('gives several processes no more than there is, however they ask at once', async () => {
    const processes = [budgets, new MongoRateBudgets(database.db), new MongoRateBudgets(database.db)];
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        (processes[index % 3] ?? budgets).take('a', SLOW, claim(`r${index}`)),
      ),
    );
    expect(answers.filter(({ granted }) => granted > 0)).toHaveLength(SLOW.burst);
  });

  test('holds for each account alone', async () => {
    await budgets.take('a', SLOW, claim('r', { requests: 100 }));
    expect(await budgets.take('a', SLOW, claim('r'))).toMatchObject({ granted: 0, cause: 'BUDGET' });
    expect(await budgets.take('b', SLOW, claim('r'))).toEqual({ granted: 1 });
  });

  test('loses with a holder that crashes no more than that took', async () => {
    await budgets.take('a', SLOW, claim('crashed', { requests: 5 }));
    expect(await budgets.take('a', SLOW, claim('r', { requests: 100 }))).toEqual({ granted: 15 });
  });

  test('takes back what was not used, and forgets who left', async () => {
    await budgets.take('a', SLOW, claim('r', { requests: 20 }));
    await budgets.take('a', SLOW, claim('urgent', { kind: 'WEBHOOK' }));
    await budgets.settle('a', 'urgent', 0);
    await budgets.settle('a', 'r', -3);
    expect(await budgets.take('a', SLOW, claim('f', { kind: 'FULL', requests: 9 }))).toEqual({ granted: 3 });
  });

  test('keeps everybody from an account that its source blocked, with a budget or without', async () => {
    expect(await budgets.blockedMs('a')).toBe(0);
    await budgets.block('a', 60_000);
    await budgets.block('a', 1);
    const left = await budgets.blockedMs('a');
    expect(left).toBeGreaterThan(30_000);
    expect(left).toBeLessThanOrEqual(60_000);
    expect(await budgets.take('a', SLOW, claim('r'))).toMatchObject({
      granted: 0,
      cause: 'SOURCE',
      waitMs: 30_000,
    });
    expect(await budgets.blockedMs('b')).toBe(0);
  });

  test('settling what the source only blocked changes nothing', async () => {
    await budgets.block('a', 60_000);
    await budgets.settle('a', 'r', 3);
    await budgets.settle('unknown', 'r', 3);
    expect(await database.db.budgets.find().toArray()).toEqual([
      { _id: 'a', blockedUntil: expect.any(Number), expireTime: expect.any(Date) },
    ]);
  });

  test('goes away when nobody uses it', async () => {
    const indexes = await database.db.budgets.indexes();
    expect(indexes).toContainEqual(
      expect.objectContaining({ key: { expireTime: 1 }, expireAfterSeconds: 0 }),
    );
    await budgets.block('a', 100 * 86_400_000);
    await budgets.take('a', SLOW, claim('r'));
    const document = await database.db.budgets.findOne({ _id: 'a' });
    expect(document?.expireTime.getTime()).toBeGreaterThan(document?.blockedUntil ?? Infinity);
  });
});
