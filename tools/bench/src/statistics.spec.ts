import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { median, percentile, round, summarize } from './statistics.js';

const values = fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 });

describe('statistics', () => {
  it.each([
    [[5], 50, 5],
    [[1, 2, 3, 4], 50, 2],
    [[4, 3, 2, 1], 75, 3],
    [Array.from({ length: 200 }, (_, i) => i + 1), 99, 198],
    [[1, 2, 3], 100, 3],
    [[1, 2, 3], 0, 1],
  ])('of %j, %d %% do not exceed %d', (samples, percent, expected) => {
    expect(percentile(samples, percent)).toBe(expected);
  });

  it.each([
    [[7], 7],
    [[9, 1, 5], 5],
    [[4, 1, 3, 2], 2.5],
  ])('the middle of %j is %d', (samples, expected) => {
    expect(median(samples)).toBe(expected);
  });

  it('has no value for no samples', () => {
    expect([median([]), percentile([], 50)]).toEqual([NaN, NaN]);
  });

  it('sums samples up without changing them', () => {
    const samples = [3, 1, 2.005];
    expect(summarize(samples)).toEqual({ samples: 3, p50: round(2.005), p99: 3, max: 3 });
    expect(samples).toEqual([3, 1, 2.005]);
  });

  it('gives back a sample, with at least the asked share of samples not above it and fewer below it', () => {
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 100 }), (samples, percent) => {
        const value = percentile(samples, percent);
        const share = (percent / 100) * samples.length;
        expect(samples).toContain(value);
        expect(samples.filter((sample) => sample <= value).length).toBeGreaterThanOrEqual(share);
        expect(samples.filter((sample) => sample < value).length).toBeLessThan(Math.max(1, Math.ceil(share)));
      }),
    );
  });
});
