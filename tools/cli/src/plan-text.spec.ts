import { expect, it } from '@jest/globals';
import { ConnectionStatus, ModelStatus, SyncKind, SyncRunState } from '@tidemark/contracts';
import { planLines } from './plan-text.js';

it('tells what runs next, when and why, and what has not ended', () => {
  const employees = ModelStatus.create({
    model: 'employees',
    nextFullTime: new Date('2026-03-01T14:02:00Z'),
    nextFullReason: 'full every 3 h, last started 11:02:00 UTC',
    nextDeltaReason: 'waits for the first full sync to succeed',
    unfinishedRuns: [
      { runId: 'run_1', kind: SyncKind.FULL, state: SyncRunState.RUNNING, summary: 'Read 5 records so far.' },
    ],
  });
  const lines = planLines(ConnectionStatus.create({ models: [employees, { model: 'jobs' }] }));
  expect(lines).toEqual([
    '',
    'MODEL      NEXT   WHEN                      WHY',
    'employees  FULL   2026-03-01T14:02:00.000Z  full every 3 h, last started 11:02:00 UTC',
    'employees  DELTA  -                         waits for the first full sync to succeed',
    '',
    'MODEL      RUN    KIND  STATE    HOW IT STANDS',
    'employees  run_1  FULL  RUNNING  Read 5 records so far.',
  ]);
});

it('says nothing of models that never sync by themselves', () => {
  expect(planLines(ConnectionStatus.create({ models: [{ model: 'jobs' }] }))).toEqual([]);
});
