import { describe, expect, it } from '@jest/globals';
import { formatSeconds, parseDuration, parseMoment } from './time.js';

const NOW = new Date('2026-01-31T08:00:00Z');

describe('times', () => {
  it.each([
    ['2026-01-31T07:00:00Z', '2026-01-31T07:00:00.000Z'],
    ['2026-01-31T07:00:00.123456Z', '2026-01-31T07:00:00.123Z'],
    ['2026-01-31T07:00+02:00', '2026-01-31T05:00:00.000Z'],
    ['2026-01-31', '2026-01-31T00:00:00.000Z'],
    ['-10m', '2026-01-31T07:50:00.000Z'],
    ['-1h30m', '2026-01-31T06:30:00.000Z'],
  ])('reads the moment %s', (text, expected) => {
    expect(parseMoment(text, '--updated-after', NOW).toISOString()).toBe(expected);
  });

  it.each(['2026-01-31T07:00:00', '10m', 'yesterday', '2026-02-31T25:00:00Z', '1769846400000', ''])(
    'refuses the moment %j, which could be meant otherwise',
    (text) => {
      expect(() => parseMoment(text, '--updated-after', NOW)).toThrow('--updated-after takes a time such as');
    },
  );

  it.each([
    ['3h', 10_800],
    ['1h30m', 5400],
    ['0.5m', 30],
    ['2d', 172_800],
    ['0', 0],
    ['5', undefined],
    ['5 m', undefined],
    ['m', undefined],
  ])('reads the duration %j as %s seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  it.each([
    [0.44, '0.4 s'],
    [59.6, '1 min'],
    [200, '3 min 20 s'],
    [7500, '2 h 5 min'],
  ])('writes %d seconds as %s', (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });
});
