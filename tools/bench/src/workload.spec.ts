import { describe, expect, it } from '@jest/globals';
import {
  churned,
  edited,
  editedHereAndThere,
  editedInOnePlace,
  employee,
  employeeNumbers,
  initial,
  type SourceState,
} from './workload.js';

const content = (state: SourceState): Map<string, string> =>
  new Map(
    [...employeeNumbers(state)].map((i) => [
      employee(i, state.edits(i)).id,
      JSON.stringify(employee(i, state.edits(i))),
    ]),
  );

function differences(before: SourceState, after: SourceState) {
  const [old, fresh] = [content(before), content(after)];
  return {
    created: [...fresh.keys()].filter((id) => !old.has(id)).length,
    updated: [...fresh].filter(([id, text]) => old.has(id) && old.get(id) !== text).length,
    deleted: [...old.keys()].filter((id) => !fresh.has(id)).length,
  };
}

const first = initial(10_000);

describe('the source', () => {
  it('holds so many employees of about 0.8 KB', () => {
    const all = content(first);
    const bytes = [...all.values()].reduce((sum, text) => sum + text.length, 0);
    expect(all.size).toBe(10_000);
    expect(bytes / all.size).toBeGreaterThan(700);
    expect(bytes / all.size).toBeLessThan(1_000);
  });

  it.each([
    ['itself', first, { created: 0, updated: 0, deleted: 0 }],
    ['a day later', churned(first), { created: 50, updated: 100, deleted: 50 }],
    ['all edited', edited(first), { created: 0, updated: 10_000, deleted: 0 }],
    [
      'a thousand edited here and there',
      editedHereAndThere(first, 1_000),
      { created: 0, updated: 1_000, deleted: 0 },
    ],
    [
      'a thousand edited in one place',
      editedInOnePlace(first, 1_000),
      { created: 0, updated: 1_000, deleted: 0 },
    ],
  ])('differs from %s as it says', (_, after, expected) => {
    expect(differences(first, after)).toEqual(expected);
  });

  it('builds each state on the one before', () => {
    const before = editedInOnePlace(editedHereAndThere(churned(first), 1_000), 1_000);
    expect(differences(before, edited(before))).toEqual({ created: 0, updated: 10_000, deleted: 0 });
  });
});
