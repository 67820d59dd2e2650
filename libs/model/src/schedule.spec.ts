import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nextDaily, syncIntervals, validateSchedule } from './schedule.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const model = (name: string, delta = false, webhook = false, pushHealthy = false) => ({
  name,
  delta,
  webhook,
  pushHealthy,
});

describe('intervals', () => {
  test.each([
    ['full every 3 h', model('m'), [['FULL', 3 * HOUR]]],
    [
      'with delta: full every 24 h, delta every 5 min',
      model('m', true),
      [
        ['FULL', 24 * HOUR],
        ['DELTA', 5 * MINUTE],
      ],
    ],
    [
      'with webhooks that come: delta every 30 min',
      model('m', true, true, true),
      [
        ['FULL', 24 * HOUR],
        ['DELTA', 30 * MINUTE],
      ],
    ],
    [
      'with webhooks that are silent: as without them',
      model('m', true, true, false),
      [
        ['FULL', 24 * HOUR],
        ['DELTA', 5 * MINUTE],
      ],
    ],
  ])('by default %s', (_name, each, expected) => {
    expect(syncIntervals({ models: {} }, [each]).map(({ kind, intervalMs }) => [kind, intervalMs])).toEqual(
      expected,
    );
  });

  test('a model goes over its connection, which goes over the defaults', () => {
    const schedule = { fullMs: HOUR, deltaMs: MINUTE, models: { special: { fullMs: 2 * HOUR } } };
    expect(syncIntervals(schedule, [model('special', true), model('plain')])).toEqual([
      { model: 'special', kind: 'FULL', intervalMs: 2 * HOUR },
      { model: 'special', kind: 'DELTA', intervalMs: MINUTE },
      { model: 'plain', kind: 'FULL', intervalMs: HOUR },
    ]);
  });

  test('an interval of 0 means never', () => {
    expect(syncIntervals({ fullMs: 0, models: {} }, [model('m')])).toEqual([]);
    expect(syncIntervals({ models: { m: { deltaMs: 0 } } }, [model('m', true)])).toHaveLength(1);
  });

  test('a model named like a part of every object has the settings of the connection', () => {
    expect(syncIntervals({ models: {} }, [model('constructor')])).toEqual([
      { model: 'constructor', kind: 'FULL', intervalMs: 3 * HOUR },
    ]);
  });

  test('an interval that is set counts, whatever webhooks do', () => {
    for (const healthy of [true, false])
      expect(syncIntervals({ deltaMs: MINUTE, models: {} }, [model('m', true, true, healthy)])[1]).toEqual({
        model: 'm',
        kind: 'DELTA',
        intervalMs: MINUTE,
      });
  });
});

describe('a daily turn', () => {
  const DAY = 24 * HOUR;

  test('comes within a day, at the same time of every day', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e12 }), fc.string(), (time, name) => {
        const next = nextDaily(new Date(time), name).getTime();
        expect(next).toBeGreaterThan(time);
        expect(next).toBeLessThanOrEqual(time + DAY);
        expect(nextDaily(new Date(next), name).getTime()).toBe(next + DAY);
      }),
    );
  });

  test('of many connections spreads over the day', () => {
    const hours = Array.from({ length: 24 }, () => 0);
    for (let i = 0; i < 2_400; i++) {
      const hour = nextDaily(new Date(0), `acme/hr-${i}`).getTime() / HOUR;
      const at = Math.min(23, Math.floor(hour));
      hours[at] = (hours[at] ?? 0) + 1;
    }
    expect(Math.max(...hours)).toBeLessThan(150);
    expect(Math.min(...hours)).toBeGreaterThan(50);
  });
});

describe('validation', () => {
  test.each([0, 1_000, 366 * 24 * HOUR])('accepts %d ms', (fullMs) => {
    expect(() => validateSchedule({ fullMs, models: {} })).not.toThrow();
  });

  test.each([-1, 999, 367 * 24 * HOUR, Number.NaN, Infinity])('refuses %d ms', (deltaMs) => {
    expect(() => validateSchedule({ models: { m: { deltaMs } } })).toThrow(
      expect.objectContaining({
        reason: 'REQUEST_INVALID',
        violations: [expect.objectContaining({ field: 'spec.schedule.models.m.delta_interval' })],
      }),
    );
  });
});
