import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ErrorReason } from './errors.js';
import {
  canFollow,
  effectOf,
  isSettled,
  isTerminal,
  judgeFailure,
  priorityOf,
  OWN_RETRY_BUDGET,
  RETRY_BUDGET,
  RUN_TRANSITIONS,
  runId,
  statesBefore,
  type FailureFacts,
  type RunAction,
  type SyncRunState,
} from './sync-run.js';

const STATES = Object.keys(RUN_TRANSITIONS) as SyncRunState[];
const ACTIONS: RunAction[] = ['PAUSE', 'RESUME', 'CANCEL', 'APPROVE', 'DISCARD'];
const facts = (reason: ErrorReason, more: Partial<FailureFacts> = {}): FailureFacts => ({
  reason,
  failures: 0,
  retryAfterMs: undefined,
  startedOver: false,
  random: 1,
  ...more,
});

describe('states', () => {
  test('every action moves along a legal transition', () => {
    for (const state of STATES) {
      for (const action of ACTIONS) {
        const effect = effectOf(action, state);
        if (effect !== undefined && 'move' in effect) expect(RUN_TRANSITIONS[state]).toContain(effect.move);
      }
    }
  });

  test('nothing leaves an ended run', () => {
    expect(STATES.filter(isTerminal)).toEqual(['SUCCEEDED', 'FAILED', 'CANCELLED']);
    for (const state of STATES.filter(isTerminal)) {
      for (const action of ACTIONS) {
        const effect = effectOf(action, state);
        expect(effect === undefined || 'nothing' in effect).toBe(true);
      }
    }
  });

  test('every state but the first leads to an end', () => {
    fc.assert(
      fc.property(fc.constantFrom(...STATES), (start) => {
        const reached = new Set<SyncRunState>([start]);
        for (const state of reached) RUN_TRANSITIONS[state].forEach((next) => reached.add(next));
        return [...reached].some(isTerminal);
      }),
    );
  });

  test.each([
    ['APPROVE', 'RUNNING'],
    ['APPROVE', 'SUCCEEDED'],
    ['DISCARD', 'PAUSED'],
    ['RESUME', 'HELD'],
    ['PAUSE', 'HELD'],
  ] as const)('%s is not possible while %s', (action, state) => {
    expect(effectOf(action, state)).toBeUndefined();
  });

  test('a running run is asked, not moved', () => {
    expect(effectOf('PAUSE', 'RUNNING')).toEqual({ ask: 'PAUSE' });
    expect(effectOf('CANCEL', 'RUNNING')).toEqual({ ask: 'CANCEL' });
  });

  test('a decision sends a held run back to a worker', () => {
    expect(effectOf('APPROVE', 'HELD')).toEqual({ move: 'WAITING', decision: 'APPROVED' });
    expect(effectOf('DISCARD', 'HELD')).toEqual({ move: 'WAITING', decision: 'DISCARDED' });
  });

  test('a run whose worker died is taken over', () => {
    expect(statesBefore('RUNNING').sort()).toEqual(['RUNNING', 'WAITING']);
    expect(canFollow('HELD', 'RUNNING')).toBe(false);
  });

  test('watching ends where a person has to act', () => {
    expect(STATES.filter(isSettled)).toEqual(['PAUSED', 'HELD', 'SUCCEEDED', 'FAILED', 'CANCELLED']);
  });
});

describe('failures', () => {
  test.each<[ErrorReason, string]>([
    ['SOURCE_UNAVAILABLE', 'RETRY'],
    ['SERVICE_UNAVAILABLE', 'RETRY'],
    ['DATABASE_UNAVAILABLE', 'RETRY'],
    ['CIRCUIT_OPEN', 'RETRY'],
    ['DEADLINE_EXCEEDED', 'RETRY'],
    ['PAGE_OUT_OF_ORDER', 'RETRY'],
    ['LEASE_LOST', 'DROP'],
    ['SOURCE_CHANGED', 'START_OVER'],
    ['SOURCE_CREDENTIALS_REJECTED', 'STAND'],
    ['SOURCE_CONFIG_INVALID', 'FAIL'],
    ['SOURCE_CONTRACT_BROKEN', 'FAIL'],
    ['SOURCE_GONE', 'FAIL'],
    ['QUARANTINE_LIMIT_EXCEEDED', 'FAIL'],
    ['SCOPE_VIOLATED', 'FAIL'],
    ['INTERNAL', 'FAIL'],
  ])('%s: %s', (reason, action) => {
    expect(judgeFailure(facts(reason)).action).toBe(action);
  });

  test('a source that changes again and again is not started over for ever', () => {
    expect(judgeFailure(facts('SOURCE_CHANGED', { startedOver: true }))).toEqual({ action: 'FAIL' });
  });

  test('an open breaker costs nothing of the budget, for nothing was tried', () => {
    const verdict = judgeFailure(facts('CIRCUIT_OPEN', { failures: RETRY_BUDGET, retryAfterMs: 100_000 }));
    expect(verdict).toEqual({ action: 'RETRY', failures: RETRY_BUDGET, delayMs: 100_000 });
  });

  test('retries end with the budget', () => {
    expect(judgeFailure(facts('SOURCE_UNAVAILABLE', { failures: RETRY_BUDGET }))).toEqual({ action: 'FAIL' });
    for (const reason of ['SERVICE_UNAVAILABLE', 'DATABASE_UNAVAILABLE'] as const) {
      expect(judgeFailure(facts(reason, { failures: RETRY_BUDGET }))).toMatchObject({ action: 'RETRY' });
      expect(judgeFailure(facts(reason, { failures: OWN_RETRY_BUDGET }))).toEqual({ action: 'FAIL' });
    }
  });

  test('pauses grow, are jittered within a factor of two, are bounded, and honour what the other side asked for', () => {
    fc.assert(
      fc.property(
        fc.nat(RETRY_BUDGET - 1),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.option(fc.nat(600_000), { nil: undefined }),
        (failures, random, retryAfterMs) => {
          const verdict = judgeFailure(facts('SOURCE_UNAVAILABLE', { failures, random, retryAfterMs }));
          if (verdict.action !== 'RETRY') return false;
          const ceiling = 1_000 * 2 ** failures;
          const floor = Math.max(ceiling / 2, retryAfterMs ?? 0);
          return (
            verdict.failures === failures + 1 &&
            verdict.delayMs >= floor &&
            verdict.delayMs <= Math.max(ceiling, floor)
          );
        },
      ),
    );
  });
});

test('manual goes before the schedule, a delta before a full, a webhook before all', () => {
  const order = [
    priorityOf('WEBHOOK', 'WEBHOOK'),
    priorityOf('DELTA', 'SCHEDULE'),
    priorityOf('FULL', 'MANUAL'),
    priorityOf('FULL', 'BACKFILL'),
    priorityOf('FULL', 'SCHEDULE'),
  ];
  expect(order).toEqual([...order].sort((a, b) => b - a));
  expect(new Set(order).size).toBe(order.length);
});

test('ids of runs sort by time', () => {
  fc.assert(
    fc.property(
      fc.nat(2 ** 40),
      fc.integer({ min: 1, max: 2 ** 40 }),
      fc.uint8Array({ minLength: 10, maxLength: 10 }),
      (time, later, bytes) => {
        const first = runId(
          new Date(time),
          Uint8Array.from(bytes, () => 255),
        );
        return first < runId(new Date(time + later), bytes) && /^run_[0-9a-f]{32}$/.test(first);
      },
    ),
  );
});
