import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { countCutOff, mayYield, NOT_BARREN } from './run-turn.js';

describe('a full sync lets a delta go first', () => {
  test.each([
    ['not before its first page', { pages: 0, turnMs: 60_000, interruptionMs: 0 }, false],
    ['after a page, if nothing interrupted it yet', { pages: 1, turnMs: 5, interruptionMs: 0 }, true],
    ['not before it had as long as the last one', { pages: 9, turnMs: 999, interruptionMs: 1_000 }, false],
    ['once it had', { pages: 1, turnMs: 1_000, interruptionMs: 1_000 }, true],
  ])('%s', (_, turn, expected) => {
    expect(mayYield(turn)).toBe(expected);
  });

  test('and still has half of the time, and a page a turn, however often deltas come', () => {
    const durations = fc.array(
      fc.record({ page: fc.integer({ min: 1, max: 5_000 }), delta: fc.nat(20_000) }),
      {
        minLength: 1,
      },
    );
    fc.assert(
      fc.property(durations, (turns) => {
        let [own, others, pages, interruptionMs] = [0, 0, 0, 0];
        for (const { page, delta } of turns) {
          let turn = { pages: 0, turnMs: 0, interruptionMs };
          // A delta is always waiting.
          while (!mayYield(turn)) turn = { ...turn, pages: turn.pages + 1, turnMs: turn.turnMs + page };
          own += turn.turnMs;
          pages += turn.pages;
          // What comes before the first turn is no interruption, and the one after the last is yet to be paid back.
          expect(own).toBeGreaterThanOrEqual(others);
          others += delta;
          interruptionMs = delta;
        }
        expect(pages).toBeGreaterThanOrEqual(turns.length);
      }),
    );
  });
});

test('cut-off attempts count in a row only while the run gets no further', () => {
  const first = countCutOff(NOT_BARREN, 0);
  const second = countCutOff(first, 0);
  const third = countCutOff(second, 4);
  expect([first, second, third, countCutOff(third, 4)]).toEqual([
    { attempts: 1, pages: 0 },
    { attempts: 2, pages: 0 },
    { attempts: 1, pages: 4 },
    { attempts: 2, pages: 4 },
  ]);
});
