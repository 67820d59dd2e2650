import { describe, expect, test } from '@jest/globals';
import type { FinishRunResponse } from '@tidemark/contracts';
import { canFollow, judgeFailure, TidemarkError, type ErrorReason } from '@tidemark/model';
import { ends, settlement, type RunOutcome } from './run-outcome.js';
import { aRun } from './testing/a-run.js';

const NOW = new Date('2026-01-01T00:00:00Z');
const run = aRun({ state: 'RUNNING', counters: { ...aRun().counters, read: 7 } });
const counters = {
  pages: 2n,
  read: 10n,
  created: 4n,
  updated: 3n,
  unchanged: 3n,
  deleted: 0n,
  quarantined: 0n,
  stale: 0n,
};
const certificate = {
  certified: true,
  failures: [],
  endEvidence: 'end',
  expectedCount: 10n,
  observedCount: 10n,
  uniqueIds: true,
};
const response: FinishRunResponse = {
  done: true,
  held: false,
  heldDeletes: 0n,
  certificate,
  counters,
  lastSequence: 9n,
  discrepancies: undefined,
};

function failure(reason: ErrorReason, failures = 0): RunOutcome {
  const facts = { reason, failures, retryAfterMs: undefined, startedOver: false, random: 1 };
  return { kind: 'FAILED', error: new TidemarkError(reason, 'why'), verdict: judgeFailure(facts) };
}

describe('what an outcome makes of a run', () => {
  test('finished: succeeded, with what the store counted and certified', () => {
    expect(settlement(run, { kind: 'FINISHED', response }, NOW)).toMatchObject({
      state: 'SUCCEEDED',
      endTime: NOW,
      counters: { read: 10, created: 4 },
      certificate: { certified: true, expectedCount: 10 },
      lastSequence: 9,
    });
  });

  test('held: it does not end, and says how many deletes wait', () => {
    const patch = settlement(
      run,
      { kind: 'FINISHED', response: { ...response, held: true, heldDeletes: 60n } },
      NOW,
    );
    expect(patch).toMatchObject({ state: 'HELD', heldDeletes: 60 });
    expect(patch).not.toHaveProperty('endTime');
  });

  test.each([
    ['PAUSE', 'PAUSED'],
    ['CANCEL', 'CANCELLED'],
    ['SHUTDOWN', 'WAITING'],
    ['SCOPE_CHANGED', 'WAITING'],
    ['SCOPE_LEFT', 'CANCELLED'],
  ] as const)('stopped by %s: %s', (reason, state) => {
    expect(settlement(run, { kind: 'STOPPED', reason }, NOW)).toMatchObject({ state });
  });

  test('begun anew for its scope: from nothing, at once, with the failures that it had, and what a person asked for', () => {
    const patch = settlement(
      { ...run, failures: 3, request: 'CANCEL', decision: 'APPROVED' },
      { kind: 'STOPPED', reason: 'SCOPE_CHANGED' },
      NOW,
    );
    expect(patch).toMatchObject({
      counters: { read: 0 },
      notBefore: NOW,
      decision: undefined,
      end: undefined,
    });
    for (const kept of ['failures', 'request', 'endTime']) expect(patch).not.toHaveProperty(kept);
  });

  test('of a model that left the scope: cancelled, and says so', () => {
    expect(settlement(run, { kind: 'STOPPED', reason: 'SCOPE_LEFT' }, NOW)).toMatchObject({
      endTime: NOW,
      note: 'model employees left the scope',
    });
  });

  test('what it repaired stays with it', () => {
    const discrepancies = { created: 2n, updated: 0n, deleted: 1n, ids: ['e1', 'e2', 'e3'] };
    expect(
      settlement(run, { kind: 'FINISHED', response: { ...response, discrepancies } }, NOW),
    ).toMatchObject({ discrepancies: { created: 2, updated: 0, deleted: 1, ids: ['e1', 'e2', 'e3'] } });
  });

  test('an outage: it waits, for as long as the verdict says', () => {
    expect(settlement(run, failure('SOURCE_UNAVAILABLE', 1), NOW)).toMatchObject({
      state: 'WAITING',
      failures: 2,
      notBefore: new Date(NOW.getTime() + 2_000),
      error: { reason: 'SOURCE_UNAVAILABLE', message: 'why' },
    });
  });

  test.each<ErrorReason>(['SOURCE_CHANGED', 'SOURCE_CREDENTIALS_REJECTED', 'SOURCE_GONE', 'INTERNAL'])(
    '%s: failed, with the reason',
    (reason) => {
      expect(settlement(run, failure(reason), NOW)).toMatchObject({
        state: 'FAILED',
        endTime: NOW,
        error: { reason },
      });
    },
  );

  test('a lost lease: nothing is written', () => {
    expect(settlement(run, failure('LEASE_LOST'), NOW)).toBeUndefined();
  });

  test('every state may follow RUNNING', () => {
    const outcomes: RunOutcome[] = [
      { kind: 'FINISHED', response },
      { kind: 'VOID', note: 'gone' },
      { kind: 'STOPPED', reason: 'PAUSE' },
      failure('SOURCE_GONE'),
      failure('CIRCUIT_OPEN'),
      failure('PAGE_OUT_OF_ORDER'),
      { kind: 'STOPPED', reason: 'SCOPE_CHANGED' },
      { kind: 'STOPPED', reason: 'SCOPE_LEFT' },
    ];
    for (const outcome of outcomes) {
      const patch = settlement(run, outcome, NOW);
      expect(canFollow('RUNNING', patch?.state ?? 'RUNNING')).toBe(true);
      expect(ends(patch ?? {})).toBe(patch?.endTime !== undefined);
    }
  });
});
