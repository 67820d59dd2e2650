import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { adaptOverlap, checksDeltas, NO_OVERLAP } from './delta-overlap.js';
import type { Cadence } from './sync-policy.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

describe('how far deltas read back', () => {
  test.each([
    ['a first late arrival widens it to a minute', NO_OVERLAP, 1, { ms: MINUTE, cleanChecks: 0 }],
    [
      'each further one widens it fourfold',
      { ms: MINUTE, cleanChecks: 6 },
      3,
      { ms: 4 * MINUTE, cleanChecks: 0 },
    ],
    ['but not beyond a day', { ms: DAY / 2, cleanChecks: 0 }, 1, { ms: DAY, cleanChecks: 0 }],
    ['clean checks are counted', { ms: MINUTE, cleanChecks: 0 }, 0, { ms: MINUTE, cleanChecks: 1 }],
    [
      'the seventh in a row halves it',
      { ms: 4 * MINUTE, cleanChecks: 6 },
      0,
      { ms: 2 * MINUTE, cleanChecks: 0 },
    ],
    ['to nothing from less than two minutes', { ms: MINUTE, cleanChecks: 6 }, 0, NO_OVERLAP],
    ['where nothing came late, nothing is counted', NO_OVERLAP, 0, NO_OVERLAP],
  ])('%s', (_, before, late, after) => {
    expect(adaptOverlap(before, late)).toEqual(after);
  });

  test('reaches any lateness up to a day within six finds, and stays within bounds', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: DAY }), (lateness) => {
        let [overlap, finds] = [NO_OVERLAP, 0];
        for (; overlap.ms < lateness; finds++) overlap = adaptOverlap(overlap, 1);
        expect(finds).toBeLessThanOrEqual(7);
        expect(overlap.ms).toBeLessThanOrEqual(DAY);
      }),
    );
  });
});

describe('a full run has the next delta checked', () => {
  const at = (minute: number) => new Date(minute * MINUTE);
  const full = { model: 'staff', kind: 'FULL', trigger: 'SCHEDULE', startedOver: false } as const;
  const cadences = (more: { full?: Partial<Cadence>; delta?: Partial<Cadence> } = {}): Cadence[] => [
    { model: 'staff', kind: 'FULL', lastSuccess: at(1), failuresInARow: 0, ...more.full },
    { model: 'staff', kind: 'DELTA', lastSuccess: at(2), failuresInARow: 0, ...more.delta },
    { model: 'jobs', kind: 'DELTA', lastSuccess: at(9), failuresInARow: 0 },
  ];
  test.each([
    ['after a delta that succeeded since the full run before', full, cadences(), true],
    ['not if none did', full, cadences({ delta: { lastSuccess: at(0) } }), false],
    ['not if the last one failed', full, cadences({ delta: { failuresInARow: 1 } }), false],
    ['not without deltas', full, [], false],
    ['not if it is a backfill', { ...full, trigger: 'BACKFILL' as const }, cadences(), false],
    ['not if the source changed', { ...full, startedOver: true }, cadences(), false],
    ['and no other run has', { ...full, kind: 'DELTA' as const }, cadences(), false],
  ])('%s', (_, run, known, expected) => {
    expect(checksDeltas(run, known)).toBe(expected);
  });
});
