import { describe, expect, test } from '@jest/globals';
import { fromBudgetMessage, toConnectionMessage } from './connection-messages.js';
import { aConnection } from './testing/a-connection.js';

describe("a connection's budget", () => {
  test.each([
    ['none', undefined, undefined],
    ['with its burst', { requestsPerMinute: 60, burst: 3 }, { requestsPerMinute: 60, burst: 3 }],
    ['without one', { requestsPerMinute: 61, burst: 0 }, { requestsPerMinute: 61, burst: 11 }],
    ['of the least', { requestsPerMinute: 1, burst: 0 }, { requestsPerMinute: 1, burst: 1 }],
  ])('is taken: %s', (_, message, budget) => {
    expect(fromBudgetMessage(message)).toEqual(budget);
  });

  test.each([
    [{ requestsPerMinute: 0, burst: 0 }, ['spec.budget.requests_per_minute']],
    [{ requestsPerMinute: -1, burst: -1 }, ['spec.budget.requests_per_minute', 'spec.budget.burst']],
    [{ requestsPerMinute: 1_000_001, burst: 1 }, ['spec.budget.requests_per_minute']],
  ])('is refused: %j', (message, fields) => {
    const violations = fields.map((field) => ({ field, description: 'is 1 to 1000000' }));
    expect(() => fromBudgetMessage(message)).toThrow(
      expect.objectContaining({ reason: 'REQUEST_INVALID', violations }),
    );
  });

  test('is shown', () => {
    const budget = { requestsPerMinute: 60, burst: 3 };
    expect(toConnectionMessage(aConnection({ budget })).budget).toEqual(budget);
    expect(toConnectionMessage(aConnection()).budget).toBeUndefined();
  });
});
