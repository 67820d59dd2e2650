import { SyncKind, SyncRunState, type ConnectionStatus } from '@tidemark/contracts';
import { enumName } from './json.js';
import { formatTable } from './table.js';
import { formatTime } from './time.js';

/** The last columns may run on. */
const LONGEST = 500;

/** What runs next of a connection, when and why, and the runs that have not ended; with an empty line before each table. */
export function planLines({ models }: ConnectionStatus): string[] {
  const next = models.flatMap(({ model, nextFullTime, nextFullReason, nextDeltaTime, nextDeltaReason }) =>
    [
      { model, kind: SyncKind.FULL, time: nextFullTime, reason: nextFullReason },
      { model, kind: SyncKind.DELTA, time: nextDeltaTime, reason: nextDeltaReason },
    ].filter(({ reason }) => reason !== ''),
  );
  const runs = models.flatMap(({ model, unfinishedRuns }) =>
    unfinishedRuns.map((run) => ({ model, ...run })),
  );
  return [
    ...separate(next, [
      { title: 'MODEL', value: ({ model }) => model },
      { title: 'NEXT', value: ({ kind }) => enumName(SyncKind, kind) },
      { title: 'WHEN', value: ({ time }) => formatTime(time) },
      { title: 'WHY', value: ({ reason }) => reason, max: LONGEST },
    ]),
    ...separate(runs, [
      { title: 'MODEL', value: ({ model }) => model },
      { title: 'RUN', value: ({ runId }) => runId },
      { title: 'KIND', value: ({ kind }) => enumName(SyncKind, kind) },
      { title: 'STATE', value: ({ state }) => enumName(SyncRunState, state) },
      { title: 'HOW IT STANDS', value: ({ summary }) => summary, max: LONGEST },
    ]),
  ];
}

function separate<Row>(rows: readonly Row[], columns: Parameters<typeof formatTable<Row>>[0]): string[] {
  return rows.length === 0 ? [] : ['', ...formatTable(columns, rows)];
}
