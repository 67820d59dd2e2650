import { describe, expect, it } from '@jest/globals';
import { commandsIn, countsBetween } from './server-counts.js';

const counts = { committed: 1, aborted: 2, journalSyncs: 3, journalSyncMs: 4.25, pagesRead: 5 };

describe("the database's counts", () => {
  it('are those between two moments, commands that did not come left out', () => {
    const before = { ...counts, commands: { find: 5, insert: 2 } };
    const after = {
      committed: 11,
      aborted: 2,
      journalSyncs: 13,
      journalSyncMs: 9.5,
      pagesRead: 5,
      commands: { find: 9, insert: 2, commitTransaction: 3 },
    };
    const between = countsBetween(before, after);
    expect(between).toEqual({
      committed: 10,
      aborted: 0,
      journalSyncs: 10,
      journalSyncMs: 5,
      pagesRead: 0,
      commands: { find: 4, commitTransaction: 3 },
    });
    expect(commandsIn(between)).toBe(7);
  });
});
