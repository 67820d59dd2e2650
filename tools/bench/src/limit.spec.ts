import { describe, expect, it } from '@jest/globals';
import { limitOf } from './limit.js';
import { secondsIn } from './process-files.js';

const usage = (name: string, cpuSeconds: number, loopShare?: number) => ({
  name,
  cpuSeconds,
  ...(loopShare === undefined ? {} : { loopShare }),
});

describe('what limits a phase', () => {
  it.each([
    [
      'a busy event loop',
      [usage('store', 9.9, 0.97), usage('mongod', 4)],
      14,
      'store-bound (event loop 97 %)',
    ],
    [
      'cores used up',
      [usage('store', 7, 0.7), usage('mongod', 12)],
      19,
      'CPU-bound (all 2 cores; 63 % of it mongod)',
    ],
    [
      'neither',
      [usage('store', 2, 0.2), usage('mongod', 1)],
      3,
      'waiting (15 % of the cores used, 67 % of it store; busiest event loop store 20 %)',
    ],
    [
      'other programs',
      [usage('store', 7, 0.7), usage('mongod', 1)],
      18,
      'CPU-bound (all 2 cores; 88 % of it store, 50 % used by other programs)',
    ],
    ['nothing known', [], 3, 'unknown'],
  ])('%s', (_, processes, machineSeconds, expected) => {
    expect(limitOf(10, processes, 2, machineSeconds)).toBe(expected);
  });
});

describe("a process's times", () => {
  it('are found behind a name that looks like more fields', () => {
    const fields = ['S', ...Array.from({ length: 10 }, () => '0'), '150', '50', '7'];
    expect(secondsIn(`12 (a) b (c) ${fields.join(' ')}`)).toBe(2);
  });
});
