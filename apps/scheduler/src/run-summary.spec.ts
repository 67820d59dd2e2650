import { expect, test } from '@jest/globals';
import { NO_COUNTERS, type Run, type RunCertificate } from './run.js';
import { summarize } from './run-summary.js';
import { aRun } from './testing/a-run.js';

const START = new Date('2026-01-01T00:00:00Z');
const after = (seconds: number) => new Date(START.getTime() + seconds * 1_000);
const certificate: RunCertificate = {
  certified: true,
  failures: [],
  endEvidence: 'end',
  observedCount: 1,
  uniqueIds: true,
};
const counters = (some: Partial<Run['counters']>) => ({ ...NO_COUNTERS, ...some });
const ended: Partial<Run> = { state: 'SUCCEEDED', startTime: START, endTime: after(3), certificate };

test.each<[Partial<Run>, string]>([
  [{}, 'Waits for a worker.'],
  [{ note: 'its worker was stopped' }, 'Waits: its worker was stopped.'],
  [
    { error: { reason: 'SOURCE_UNAVAILABLE', message: 'no answer' }, failures: 2, notBefore: after(4) },
    'Tries again in 4 s (failure 2): no answer',
  ],
  [{ decision: 'APPROVED' }, 'Waits for a worker; its deletes are approved.'],
  [
    { state: 'RUNNING', counters: counters({ read: 1_500 }), expectedRecords: 5_000 },
    'Read 1,500 of 5,000 records so far.',
  ],
  [{ state: 'RUNNING', counters: counters({ read: 1 }) }, 'Read 1 record so far.'],
  [{ state: 'RUNNING', counters: counters({ read: 9 }), expectedRecords: 5 }, 'Read 9 records so far.'],
  [
    { state: 'RUNNING', counters: counters({ read: 2 }), note: 'the source asked to wait 30 s (429)' },
    'Read 2 records so far; the source asked to wait 30 s (429).',
  ],
  [
    {
      ...{ state: 'SUCCEEDED', startTime: START, endTime: after(3), kind: 'DELTA' },
      effort: { retries: 1, takeovers: 2, yields: 1, pauses: 3, waits: 2, waitedMs: 90_000 },
    },
    'Read 0 records in 3 s: nothing to do; tried again after 1 failure, taken over 2 times, let a delta go first once, paused 3 times, waited 90 s for the source.',
  ],
  [{ state: 'PAUSED', counters: counters({ read: 500 }) }, 'Paused after 500 records; resume it to go on.'],
  [
    { state: 'HELD', heldDeletes: 4_000 },
    'Held: 4,000 deletes of employees look like a fault of the source; approve or discard them.',
  ],
  [
    { ...ended, counters: counters({ read: 5_000, created: 5_000 }) },
    'Read 5,000 records in 3 s: 5,000 created; snapshot certified.',
  ],
  [
    { ...ended, counters: counters({ read: 10, updated: 3, unchanged: 6, deleted: 2, quarantined: 1 }) },
    'Read 10 records in 3 s: 3 updated, 6 unchanged, 2 deleted, 1 quarantined; snapshot certified.',
  ],
  [
    {
      ...ended,
      counters: counters({ read: 1, unchanged: 1 }),
      certificate: { ...certificate, certified: false, failures: ['the file was cut'] },
    },
    'Read 1 record in 3 s: 1 unchanged; snapshot not certified, so nothing was deleted: the file was cut.',
  ],
  [
    { ...ended, decision: 'DISCARDED', counters: counters({ read: 2, unchanged: 2 }) },
    'Read 2 records in 3 s: 2 unchanged; its deletes were discarded, nothing was deleted.',
  ],
  [
    {
      ...ended,
      counters: counters({ read: 9, created: 2, unchanged: 7, deleted: 1 }),
      discrepancies: { created: 2, updated: 0, deleted: 1, ids: ['a', 'b', 'c'] },
    },
    'Read 9 records in 3 s: 2 created, 7 unchanged, 1 deleted; snapshot certified; repaired 3 records that deltas missed: 2 created, 1 deleted.',
  ],
  [
    {
      ...ended,
      counters: counters({ read: 1, unchanged: 1 }),
      discrepancies: { created: 0, updated: 0, deleted: 0, ids: [] },
    },
    'Read 1 record in 3 s: 1 unchanged; snapshot certified.',
  ],
  [{ ...ended, kind: 'DELTA', counters: NO_COUNTERS }, 'Read 0 records in 3 s: nothing to do.'],
  [
    {
      state: 'FAILED',
      counters: counters({ read: 7 }),
      error: { reason: 'SOURCE_GONE', message: 'the file is gone' },
    },
    'Failed after 7 records: the file is gone.',
  ],
  [{ state: 'CANCELLED', note: 'superseded by run_2' }, 'Cancelled after 0 records: superseded by run_2.'],
])('%j', (changes, sentence) => {
  expect(summarize(aRun(changes), START)).toBe(sentence);
});
