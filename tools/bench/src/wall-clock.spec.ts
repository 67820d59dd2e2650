import { describe, expect, it } from '@jest/globals';
import { sinceLogged, wallClockOffset } from './wall-clock.js';

const write = (started: number, seen: number) => ({ started, answered: seen, seen });

describe('the time since a write was logged', () => {
  it('is found by the entry between its start and its arrival, others left aside', () => {
    const writes = [write(0.25, 3.75), write(20.5, 24)];
    expect(sinceLogged(writes, [900, 1_022, 1_002, 1_011], 1_000)).toEqual([1.25, 1.5]);
  });

  it('is refused for a write without an entry', () => {
    expect(() => sinceLogged([write(0, 3)], [1_500], 1_000)).toThrow('no entry');
    expect(() => sinceLogged([write(0, 3), write(10, 13)], [1_002], 1_000)).toThrow('no entry');
  });
});

describe('the wall clock', () => {
  it('is told to a part of a millisecond', () => {
    const offset = wallClockOffset();
    const now = performance.now() + offset;
    const wall = Date.now();
    // A process may be interrupted between the two; it cannot be early.
    expect(Math.floor(now)).toBeLessThanOrEqual(wall);
  });
});
