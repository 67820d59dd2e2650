import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ScheduledKind, SyncInterval } from './schedule.js';
import { explainSync } from './sync-explanation.js';
import {
  catchUpWindow,
  isPushHealthy,
  longestBackoff,
  planSyncs,
  type Cadence,
  type StandingRun,
  type SyncFacts,
} from './sync-policy.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const at = (time: string) => new Date(`2026-03-01T${time}Z`);
const now = at('14:00:00');
const full = (intervalMs = 24 * HOUR): SyncInterval => ({ model: 'm', kind: 'FULL', intervalMs });
const delta = (intervalMs = 5 * MINUTE): SyncInterval => ({ model: 'm', kind: 'DELTA', intervalMs });
const cadence = (kind: ScheduledKind, changes: Partial<Cadence> = {}): Cadence => ({
  model: 'm',
  kind,
  failuresInARow: 0,
  ...changes,
});
const stands = (kind: ScheduledKind, state: StandingRun['state']): StandingRun => ({
  model: 'm',
  kind,
  state,
});
const ranFull = cadence('FULL', { lastStart: at('09:00:00'), lastSuccess: at('09:01:00') });
const facts = (changes: Partial<SyncFacts>): SyncFacts => ({
  connection: 'acme/hr',
  since: at('00:00:00'),
  awakeSince: at('00:00:00'),
  intervals: [],
  cadences: [],
  standing: [],
  ...changes,
});

/** What comes of a connection, and why, in words. */
function planned(changes: Partial<SyncFacts>) {
  const { due, next } = planSyncs(now, facts(changes));
  return { due: due.map(({ kind }) => kind), why: next.map((sync) => explainSync(now, sync)) };
}

describe('a plan', () => {
  test.each<[string, Partial<SyncFacts>, ReturnType<typeof planned>]>([
    [
      'lets a model rest until its interval is over',
      { intervals: [full(3 * HOUR)], cadences: [cadence('FULL', { lastStart: at('13:02:00') })] },
      { due: [], why: ['full every 3 h, last started 13:02:00 UTC'] },
    ],
    [
      'asks for what is over',
      { intervals: [full(3 * HOUR)], cadences: [cadence('FULL', { lastStart: at('11:00:00') })] },
      { due: ['FULL'], why: ['full every 3 h, last started 11:00:00 UTC'] },
    ],
    [
      'counts from the making of a connection that has not synced',
      { intervals: [full(90 * MINUTE)] },
      { due: ['FULL'], why: ['full every 1 h 30 min, none has started yet'] },
    ],
    [
      'counts what was asked for and cancelled before it started',
      {
        intervals: [full(3 * HOUR)],
        cadences: [cadence('FULL', { lastStart: at('01:00:00'), lastRequest: at('13:30:00') })],
      },
      { due: [], why: ['full every 3 h, last started 13:30:00 UTC'] },
    ],
    [
      'lets the delta go first where both are due',
      {
        intervals: [full(3 * HOUR), delta()],
        cadences: [
          { ...ranFull, lastStart: at('09:00:00') },
          cadence('DELTA', { lastStart: at('13:00:00'), lastSuccess: at('13:00:01') }),
        ],
      },
      {
        due: ['DELTA', 'FULL'],
        why: ['full every 3 h, last started 09:00:00 UTC', 'delta every 5 min, last started 13:00:00 UTC'],
      },
    ],
    [
      'counts a full sync that succeeded as a delta',
      {
        intervals: [full(), delta()],
        cadences: [
          cadence('FULL', { lastStart: at('13:56:00'), lastSuccess: at('13:58:00') }),
          cadence('DELTA', { lastStart: at('13:50:00'), lastSuccess: at('13:50:01') }),
        ],
      },
      {
        due: [],
        why: [
          'full every 1 d, last started 13:56:00 UTC',
          'delta every 5 min, and a full sync of 13:56:00 UTC covers the one before',
        ],
      },
    ],
    [
      'keeps a delta until a full sync has succeeded',
      {
        intervals: [full(), delta()],
        cadences: [cadence('FULL', { lastStart: at('13:50:00') })],
        standing: [stands('FULL', 'RUNNING')],
      },
      {
        due: [],
        why: [
          'one is running since 13:50:00 UTC; full every 1 d',
          'waits for the first full sync to succeed',
        ],
      },
    ],
    [
      'does without full syncs where none ever comes',
      { intervals: [delta()] },
      { due: ['DELTA'], why: ['delta every 5 min, none has started yet'] },
    ],
    [
      'asks for none beside one that waits',
      { intervals: [full(HOUR)], standing: [stands('FULL', 'WAITING')] },
      { due: [], why: ['one waits for its turn'] },
    ],
    [
      'asks for none while a person has paused one',
      { intervals: [full(HOUR)], standing: [stands('FULL', 'PAUSED')] },
      { due: [], why: ['a person paused one: resume or cancel it'] },
    ],
    [
      'asks for nothing of a connection that does not sync',
      { intervals: [full(HOUR)], stopped: 'the connection is paused' },
      { due: [], why: ['the connection is paused'] },
    ],
    [
      'backs off after failures',
      {
        intervals: [full()],
        cadences: [
          cadence('FULL', {
            lastStart: at('13:49:00'),
            lastFailure: at('13:50:00'),
            failuresInARow: 3,
          }),
        ],
      },
      { due: [], why: ['backing off after 3 failures in a row, the last at 13:50:00 UTC'] },
    ],
    [
      'tries again when it has backed off',
      {
        intervals: [full()],
        cadences: [
          cadence('FULL', { lastStart: at('13:49:00'), lastFailure: at('13:50:00'), failuresInARow: 1 }),
        ],
      },
      { due: ['FULL'], why: ['backing off after a failure, the last at 13:50:00 UTC'] },
    ],
    [
      'spreads what a downtime made late',
      {
        intervals: [full(3 * HOUR)],
        cadences: [cadence('FULL', { lastStart: new Date('2026-02-28T23:00:00Z') })],
        awakeSince: now,
      },
      { due: [], why: [expect.stringMatching(/^caught up after a downtime, was due at 0[12]:/) as never] },
    ],
    [
      'tells what webhooks have to do with it',
      {
        intervals: [{ ...delta(30 * MINUTE), webhooks: 'COME' }],
        cadences: [cadence('DELTA', { lastStart: at('13:40:00') })],
      },
      { due: [], why: ['delta every 30 min while webhooks come, last started 13:40:00 UTC'] },
    ],
  ])('%s', (_name, given, expected) => {
    expect(planned(given)).toEqual(expected);
  });

  test('of a connection without schedule has no end and no beginning', () => {
    expect(planSyncs(now, facts({}))).toEqual({ due: [], next: [] });
  });

  test('looks again at what stands, should the end of a run be missed', () => {
    const plan = planSyncs(now, facts({ intervals: [delta()], standing: [stands('DELTA', 'RUNNING')] }));
    expect(plan.wakeTime).toEqual(at('14:05:00'));
  });
});

test.each<[string, Partial<Cadence> | undefined, boolean]>([
  ['never came', undefined, false],
  ['came an hour ago', { lastSuccess: at('13:00:00') }, true],
  ['came two days ago', { lastSuccess: new Date('2026-02-27T00:00:00Z') }, false],
  ['fail', { lastSuccess: at('13:00:00'), failuresInARow: 1 }, false],
])('webhooks that %s are believed or not', (_name, changes, expected) => {
  const webhooks = changes && { ...cadence('DELTA', changes), kind: 'WEBHOOK' as const };
  expect(isPushHealthy(now, webhooks)).toBe(expected);
});

describe('every plan', () => {
  const time = fc.integer({ min: 0, max: 48 * 3_600 }).map((s) => new Date(now.getTime() - s * 1_000));
  const optionalTime = fc.option(time, { nil: undefined });
  const kind = fc.constantFrom<ScheduledKind>('FULL', 'DELTA');
  const cadences = fc
    .tuple(kind, optionalTime, optionalTime, optionalTime, fc.nat(20))
    .map(([each, lastStart, lastSuccess, lastFailure, failures]): Cadence => ({
      ...cadence(each),
      ...(lastStart && { lastStart }),
      ...(lastSuccess && { lastSuccess }),
      ...(lastFailure && { lastFailure, failuresInARow: failures }),
    }));
  const anything = fc.record({
    connection: fc.string(),
    since: time,
    awakeSince: time,
    intervals: fc.tuple(fc.integer({ min: 1_000, max: 48 * HOUR }), fc.integer({ min: 1_000, max: HOUR })),
    cadences: fc.uniqueArray(cadences, { selector: (each) => each.kind }),
    standing: fc.array(
      fc
        .tuple(kind, fc.constantFrom<StandingRun['state']>('WAITING', 'RUNNING', 'PAUSED'))
        .map(([each, state]) => stands(each, state)),
      { maxLength: 2 },
    ),
  });
  type Anything = typeof anything extends fc.Arbitrary<infer T> ? T : never;
  const toFacts = (given: Anything): SyncFacts => ({
    ...given,
    intervals: [full(given.intervals[0]), delta(given.intervals[1])],
  });

  test('asks for none of which one stands, and wakes up later than now', () => {
    fc.assert(
      fc.property(anything, (given) => {
        const { due, wakeTime } = planSyncs(now, toFacts(given));
        for (const { kind: each } of due) expect(given.standing.some((run) => run.kind === each)).toBe(false);
        expect(wakeTime?.getTime()).toBeGreaterThan(now.getTime());
        expect(wakeTime?.getTime()).toBeLessThanOrEqual(now.getTime() + HOUR);
      }),
    );
  });

  test('lets nothing wait for longer than its interval, or its bounds for failures and downtimes', () => {
    fc.assert(
      fc.property(anything, (given) => {
        const all = { ...toFacts(given), standing: [] };
        for (const sync of planSyncs(now, all).next) {
          if (sync.time === undefined) {
            expect(sync.cause).toEqual({ is: 'NO_FULL_YET' });
            continue;
          }
          const own = given.cadences.find((each) => each.kind === sync.kind);
          const base = Math.max(
            ...[own?.lastStart, own?.lastFailure, given.since, given.awakeSince]
              .map(Number)
              .filter((ms) => !Number.isNaN(ms)),
            ...(sync.cause.is === 'COVERED' ? [Number(sync.cause.full)] : []),
          );
          const bound = Math.max(
            sync.intervalMs,
            sync.cause.is === 'BACKING_OFF' ? longestBackoff(sync) : 0,
            catchUpWindow(sync.intervalMs),
          );
          expect(sync.time.getTime()).toBeLessThanOrEqual(base + bound);
        }
      }),
    );
  });

  test('does not change its mind before a sync is due', () => {
    fc.assert(
      fc.property(anything, fc.double({ min: 0, max: 1, noNaN: true }), (given, share) => {
        const all = { ...toFacts(given), standing: [] };
        for (const sync of planSyncs(now, all).next) {
          if (sync.time === undefined || sync.time <= now) continue;
          const before = new Date(now.getTime() + share * (sync.time.getTime() - now.getTime()));
          const again = planSyncs(before, all).next.find((each) => each.kind === sync.kind);
          expect(again?.time).toEqual(sync.time);
          const due = planSyncs(sync.time, all).due.map((each) => each.kind);
          expect(due).toContain(sync.kind);
        }
      }),
    );
  });

  test('backs off twice as long with each failure, and never beyond its bound', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1_000, max: 48 * HOUR }), (connection, intervalMs) => {
        const pause = (failuresInARow: number) => {
          const failed = cadence('DELTA', { lastStart: now, lastFailure: now, failuresInARow });
          const all = facts({ connection, intervals: [delta(intervalMs)], cadences: [failed] });
          return (planSyncs(now, all).next[0]?.time?.getTime() ?? NaN) - now.getTime();
        };
        let before = pause(1);
        expect(before).toBeGreaterThanOrEqual(0.9 * 30_000 - 1);
        for (let failures = 2; failures < 40; failures++) {
          const then = pause(failures);
          expect(then).toBeGreaterThanOrEqual(before);
          expect(then).toBeLessThanOrEqual(Math.min(2 * before + 1, longestBackoff(delta(intervalMs))));
          before = then;
        }
      }),
    );
  });
});
