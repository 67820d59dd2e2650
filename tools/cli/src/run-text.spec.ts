import { describe, expect, it } from '@jest/globals';
import { Discrepancies, SyncRun, SyncRunState } from '@tidemark/contracts';
import { runFields, runSummary } from './run-text.js';

const run = (discrepancies: Discrepancies | undefined) =>
  SyncRun.create({ id: 'run_1', model: 'jobs', state: SyncRunState.SUCCEEDED, counters: {}, discrepancies });
const found = (changes: Partial<Discrepancies>) => Discrepancies.create(changes);

describe('what a full run repaired', () => {
  it('is told in one sentence, with the first ids', () => {
    const some = run(found({ created: 2n, deleted: 1n, ids: ['a', 'b', 'c'] }));
    const sentence = '3 records that deltas missed: 2 created, 1 deleted (a, b, c)';
    expect(runSummary([some]).at(-1)).toBe(`jobs: repaired ${sentence}.`);
    expect(runFields(some)).toContainEqual(['Repaired', sentence]);
    const ids = Array.from({ length: 100 }, (_, i) => `e${i}`);
    expect(runSummary([run(found({ updated: 1234n, ids }))]).at(-1)).toBe(
      'jobs: repaired 1,234 records that deltas missed: 1,234 updated (e0, e1, e2, e3, e4, …).',
    );
  });

  it('is not mentioned where it is nothing', () => {
    expect(runSummary([run(found({}))])).toHaveLength(2);
    expect(runSummary([run(undefined)])).toHaveLength(2);
    expect(runFields(run(undefined)).map(([name]) => name)).not.toContain('Repaired');
  });
});
