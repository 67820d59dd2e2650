import type { OverheadFigures } from './measure-overhead.js';
import type { ScheduleFigures } from './measure-schedules.js';
import { round, type Summary } from './statistics.js';
import { textTable } from './text-table.js';

/** What a sync costs that finds nothing new, step by step, beside the calls that it is made of. */
export function overheadTable({ records, moments, bareWrites, bare }: OverheadFigures): string {
  const { answered, started, ended, seen } = moments;
  const table = textTable([
    ['ms after a sync was asked for', 'p50', 'p99', 'max'],
    row('request answered', answered),
    row('run started', started),
    row('run ended', ended),
    row('success seen by a watcher', seen),
    row(`bare: ${String(bareWrites)} majority writes, one read`, bare),
  ]);
  const ratio = String(round(seen.p50 / bare.p50));
  return `${table}\n${String(seen.samples)} syncs of ${String(records)} unchanged records; ${ratio} x the bare calls`;
}

/** How one scheduler gets through syncs that are all due at once. */
export function scheduleTable(figures: ScheduleFigures): string {
  const { connections, runsPerSecond, seconds, firstRunsPerSecond, asked, started, ended, work } = figures;
  const table = textTable([
    ['ms after all were due', 'p50', 'p99', 'max'],
    row('run asked for', asked),
    row('run started', started),
    row('run ended', ended),
    row('work on a run', work),
  ]);
  return [
    `${connections.toLocaleString('en')} connections with a delta due at once, one scheduler: ${String(runsPerSecond)} runs/s, all done after ${String(seconds)} s (first syncs, as the connections are made: ${String(firstRunsPerSecond)} runs/s)`,
    table,
  ].join('\n');
}

function row(what: string, { p50, p99, max }: Summary): string[] {
  return [what, ...[p50, p99, max].map((ms) => ms.toFixed(0))];
}
