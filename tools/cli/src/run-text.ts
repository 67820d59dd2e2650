import {
  SyncKind,
  SyncRunState,
  SyncTrigger,
  type Discrepancies,
  type RunEffort,
  type SyncCounters,
  type SyncRun,
} from '@tidemark/contracts';
import { enumName } from './json.js';
import { printable } from './printable.js';
import { formatTable, type Column } from './table.js';
import { formatCount, formatSeconds, formatTime } from './time.js';

const count = (title: string, value: (counters: SyncCounters) => bigint): Column<SyncRun> => ({
  title,
  right: true,
  value: ({ counters }) => (counters === undefined ? '-' : formatCount(value(counters))),
});

const COUNTS: readonly Column<SyncRun>[] = [
  count('READ', (c) => c.read),
  count('CREATED', (c) => c.created),
  count('UPDATED', (c) => c.updated),
  count('UNCHANGED', (c) => c.unchanged),
  count('DELETED', (c) => c.deleted),
  count('QUARANTINED', (c) => c.quarantined),
];

const MODEL: Column<SyncRun> = { title: 'MODEL', value: (run) => run.model };
const STATE: Column<SyncRun> = { title: 'STATE', value: (run) => enumName(SyncRunState, run.state) };

const LISTED: readonly Column<SyncRun>[] = [
  { title: 'RUN', value: (run) => run.id },
  { title: 'CONNECTION', value: (run) => run.connectionId },
  MODEL,
  { title: 'KIND', value: (run) => enumName(SyncKind, run.kind) },
  STATE,
  ...COUNTS,
  { title: 'CREATED AT', value: (run) => formatTime(run.createTime) },
];

const SUMMARISED: readonly Column<SyncRun>[] = [
  MODEL,
  STATE,
  ...COUNTS,
  { title: 'SECONDS', right: true, value: (run) => seconds(run)?.toFixed(1) ?? '-' },
];

/** Runs as a table, one a line. */
export function runTable(runs: readonly SyncRun[]): string[] {
  return runs.length === 0
    ? ['No sync runs yet. Start one with: tidemark sync run CONNECTION']
    : formatTable(LISTED, runs);
}

/** What finished runs did, and what to do about those that did not end well. */
export function runSummary(runs: readonly SyncRun[]): string[] {
  return [...formatTable(SUMMARISED, runs), ...runs.flatMap(remarks).map(printable)];
}

/** One run with all that is known of it. */
export function runFields(run: SyncRun): (readonly [string, string])[] {
  const { counters, certificate } = run;
  const took = seconds(run);
  return [
    ['Run', run.id],
    ['Connection', run.connectionId],
    ['Model', run.model],
    ['Kind', `${enumName(SyncKind, run.kind)}, started by ${enumName(SyncTrigger, run.trigger)}`],
    ['State', enumName(SyncRunState, run.state)],
    ['Summary', run.summary],
    ...(counters === undefined
      ? []
      : Object.entries(counters).map(
          ([name, value]) => [`  ${name}`, formatCount(value as bigint)] as const,
        )),
    ...(certificate === undefined
      ? []
      : [
          [
            'Certified',
            certificate.certified ? certificate.endEvidence : `no: ${certificate.failures.join('; ')}`,
          ] as const,
        ]),
    ...(run.discrepancies === undefined ? [] : [['Repaired', repairText(run.discrepancies)] as const]),
    ...effortFields(run.effort),
    ...(run.error === undefined ? [] : [['Error', `${run.error.message} [${run.error.reason}]`] as const]),
    ['Created', formatTime(run.createTime)],
    [
      'Started',
      `${formatTime(run.startTime)}${run.attempts > 1 ? ` (${String(run.attempts)} attempts)` : ''}`,
    ],
    ['Ended', `${formatTime(run.endTime)}${took === undefined ? '' : `, after ${formatSeconds(took)}`}`],
  ];
}

/** What came in the way of a run. */
function effortFields(effort: RunEffort | undefined): (readonly [string, string])[] {
  if (effort === undefined) return [];
  const { waited, ...counts } = effort;
  const parts = Object.entries(counts)
    .filter(([, value]) => value > 0)
    .map(([name, value]) => `${formatCount(BigInt(value))} ${name}`);
  const seconds = Number(waited?.seconds ?? 0n);
  if (seconds > 0) parts.push(`${formatSeconds(seconds)} waited`);
  return parts.length === 0 ? [] : [['Effort', parts.join(', ')]];
}

/** What a person can do about a run that did not simply succeed. */
function remarks(run: SyncRun): string[] {
  switch (run.state) {
    case SyncRunState.HELD:
      return [
        `${run.model} is held: ${formatCount(run.heldDeletes)} deletes wait for a decision. Apply them with: tidemark sync approve ${run.id}`,
        `Drop them with: tidemark sync discard ${run.id}`,
      ];
    case SyncRunState.FAILED:
      return [
        `${run.model} failed: ${run.error?.message ?? run.summary}${run.error === undefined ? '' : ` [${run.error.reason}]`}`,
      ];
    case SyncRunState.PAUSED:
      return [`${run.model} is paused. Let it go on with: tidemark sync resume ${run.id}`];
    case SyncRunState.CANCELLED:
      return [`${run.model}: ${run.summary}`];
    case SyncRunState.SUCCEEDED:
      return [
        ...((run.counters?.quarantined ?? 0n) === 0n
          ? []
          : [
              `${run.model}: some records could not be stored. See why with: tidemark quarantine list ${run.connectionId}`,
            ]),
        ...(run.discrepancies === undefined || repairs(run.discrepancies) === 0n
          ? []
          : [`${run.model}: repaired ${repairText(run.discrepancies)}.`]),
      ];
    case SyncRunState.UNSPECIFIED:
    case SyncRunState.WAITING:
    case SyncRunState.RUNNING:
    case SyncRunState.UNRECOGNIZED:
      return [];
  }
}

const NAMED_IDS = 5;

function repairs({ created, updated, deleted }: Discrepancies): bigint {
  return created + updated + deleted;
}

/** What a full run found that deltas should have brought: `3 records that deltas missed: 2 created, 1 deleted (e1, e2, e3)`. */
function repairText(found: Discrepancies): string {
  const total = repairs(found);
  if (total === 0n) {
    return 'nothing; deltas missed no record';
  }
  const { created, updated, deleted, ids } = found;
  const counts = Object.entries({ created, updated, deleted })
    .filter(([, value]) => value > 0n)
    .map(([name, value]) => `${formatCount(value)} ${name}`);
  const named = ids.slice(0, NAMED_IDS).join(', ') + (total > BigInt(NAMED_IDS) ? ', …' : '');
  return `${formatCount(total)} ${total === 1n ? 'record' : 'records'} that deltas missed: ${counts.join(', ')} (${named})`;
}

function seconds({ startTime, endTime }: SyncRun): number | undefined {
  return startTime === undefined || endTime === undefined
    ? undefined
    : (endTime.getTime() - startTime.getTime()) / 1000;
}
