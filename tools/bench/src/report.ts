import type { Check } from './checks.js';
import { percent } from './limit.js';
import { overheadTable, scheduleTable } from './report-syncs.js';
import type { LatencyFigures, WriteLatency } from './measure-latency.js';
import type { MirrorFigures } from './measure-mirror.js';
import type { WatcherFigures } from './measure-watchers.js';
import type { WriterFigure, WriterFigures } from './measure-writers.js';
import type { Phase } from './meter.js';
import type { DatabaseSize } from './mongo-size.js';
import type { Figures } from './scenario.js';
import { commandsIn } from './server-counts.js';
import { round } from './statistics.js';
import { textTable } from './text-table.js';

/** All figures for a person: what was measured, whether it is what it should be, and what limits it. */
export function reportOf(figures: Figures): string {
  const { records, cores, mongodb, mirror, overhead, schedules, latency, watchers, writers, checks } =
    figures;
  const phases = [mirror, overhead, schedules, latency, watchers, writers].flatMap(
    (section) => section?.phases ?? [],
  );
  return [
    `${number(records)} employees of about 0.8 KB; every service a process of its own; ${String(cores)} cores; MongoDB ${mongodb}`,
    ...(mirror ? [mirrorTable(records, mirror), ...sizeTable(mirror)] : []),
    ...(overhead ? [overheadTable(overhead)] : []),
    ...(schedules ? [scheduleTable(schedules)] : []),
    ...(latency ? [latencyTable(latency)] : []),
    ...(watchers ? [watcherLines(watchers)] : []),
    ...(writers ? [writerTable(writers)] : []),
    `per 1,000 records, commits or runs: CPU ms of each process (and how busy its event loop was) and of all; the database's commands, aborted transactions,\njournal syncs and pages read into its cache; what limits\n${phaseTable(phases.filter(isLastOfItsName))}`,
    checkTable(checks),
  ].join('\n\n');
}

function mirrorTable(records: number, { raw, sync, read, peakMemoryMb }: MirrorFigures): string {
  const row = (what: string, seconds: number, rawSeconds?: number, rawName = 'insert') => [
    what,
    number(Math.round(records / seconds)),
    rawSeconds === undefined ? '' : `${String(round(rawSeconds / seconds))} x raw ${rawName}`,
  ];
  const rows = [
    ['', 'records/s', ''],
    row('raw: parse and insert', raw.insert),
    row('raw: scan, decoded', raw.scan),
    ...(sync
      ? [
          row('first sync', sync.first, raw.insert),
          row('identical re-sync', sync.identical, raw.insert),
          row('re-sync, 2 % changed', sync.churned, raw.insert),
          row('re-sync, all changed', sync.edited, raw.insert),
        ]
      : []),
    ...(read
      ? [
          row('full read through the gateway', read.seconds, raw.scan, 'scan'),
          row('  the same, payloads parsed', read.parsedSeconds, raw.scan, 'scan'),
        ]
      : []),
  ];
  const lines = read
    ? [
        `first page of a full read after ${String(read.firstPageMs)} ms`,
        ...(['scattered', 'clustered'] as const).map((kind) => {
          const { records: changes, largeMs, smallMs } = read.changes[kind];
          const { smallRecords } = read.changes;
          return `read of ${number(changes)} ${kind} changes: ${String(largeMs)} ms among ${number(records)}, ${String(smallMs)} ms among ${number(smallRecords)}`;
        }),
      ]
    : [];
  const peaks = Object.entries(peakMemoryMb).map(([name, mb]) => `${name} ${String(mb ?? '?')} MB`);
  return [textTable(rows, true), ...lines, `peak memory: ${peaks.join(', ')}`].join('\n');
}

function sizeTable({ size }: MirrorFigures): string[] {
  if (!size) return [];
  const row = (what: string, { dataMb, indexMb, totalMb, collectionsMb }: DatabaseSize) => [
    what,
    ...[dataMb, indexMb, totalMb, round(totalMb / size.raw.totalMb)].map(String),
    Object.entries(collectionsMb)
      .filter(([, mb]) => mb >= 0.1)
      .map(([name, mb]) => `${name} ${String(mb)}`)
      .join(', '),
  ];
  const rows = [
    ['size on disk, MB', 'data', 'indexes', 'all', 'x raw', ''],
    row('raw collection', size.raw),
    row('after the first sync', size.afterFirstSync),
    row('after all changed', size.afterEditedSync),
  ];
  return [textTable(rows, true)];
}

function latencyTable({ bareInsert, bareTransaction, tidemark }: LatencyFigures): string {
  const row = (what: string, { answered, seen, delivery }: WriteLatency) => [
    what,
    ...[answered.p50, answered.p99, seen.p50, seen.p99, delivery.p50, delivery.p99].map((ms) =>
      ms.toFixed(2),
    ),
  ];
  const rows = [
    ['single writes, ms', 'answered', 'p99', 'seen', 'p99', 'logged to seen', 'p99'],
    row('bare insert and change stream', bareInsert),
    row('bare transaction and change stream', bareTransaction),
    row('CommitPage and WatchChanges', tidemark),
  ];
  const samples = String(tidemark.seen.samples);
  return `${textTable(rows)}\n${samples} of each in turns; "seen" counts from the start of the write's call until the change is in the watcher's hands`;
}

function watcherLines({ watchers, changeStreams, memoryMb, delivery }: WatcherFigures): string {
  const { withoutStore, withOne, withAll } = changeStreams;
  return [
    `${String(watchers)} watchers of one store process: change streams ${String(withoutStore)} without it, ${String(withOne)} with one watcher a connection, ${String(withAll)} with all`,
    `  its memory ${String(memoryMb.withOne)} MB before, ${String(memoryMb.withAll)} MB with all, at most ${String(memoryMb.peak)} MB; from a commit's answer to 50 watchers p50 ${String(delivery.p50)} ms, p99 ${String(delivery.p99)} ms`,
  ].join('\n');
}

function writerTable({ writers, alone, together }: WriterFigures): string {
  const row = (what: string, { commitsPerSecond, latency, refused }: WriterFigure) => [
    what,
    String(Math.round(commitsPerSecond)),
    ...[latency.p50, latency.p99, latency.max].map((ms) => ms.toFixed(1)),
    number(refused),
  ];
  return textTable([
    ['single-record commits', 'per s', 'p50 ms', 'p99 ms', 'max ms', 'refused'],
    row('one writer, one store', alone),
    row(`${String(writers)} writers, two stores`, together),
  ]);
}

/** Of a phase that was repeated, the last time is the warmest. */
function isLastOfItsName({ name }: Phase, index: number, phases: readonly Phase[]): boolean {
  return !phases.slice(index + 1).some((later) => later.name === name);
}

function phaseTable(phases: readonly Phase[]): string {
  const names = [...new Set(phases.flatMap(({ processes }) => processes.map(({ name }) => name)))];
  const rows = phases.map(({ name, records, processes, server, limit }) => {
    const perThousand = (count: number) => number(Math.round((count * 1_000) / Math.max(1, records)));
    const cpuSeconds = processes.reduce((sum, usage) => sum + usage.cpuSeconds, 0);
    const counts = server && [commandsIn(server), server.aborted, server.journalSyncs, server.pagesRead];
    return [
      name,
      ...names.map((process) => {
        const usage = processes.find((candidate) => candidate.name === process);
        if (usage === undefined) return '';
        const loop = usage.loopShare === undefined ? '' : ` (${percent(usage.loopShare)})`;
        return `${perThousand(usage.cpuSeconds * 1_000)}${loop}`;
      }),
      perThousand(cpuSeconds * 1_000),
      ...(counts?.map(perThousand) ?? ['', '', '', '']),
      limit,
    ];
  });
  const sums = ['all', 'commands', 'aborted', 'syncs', 'page reads'];
  return textTable([['', ...names, ...sums, ''], ...rows], true);
}

function checkTable(checks: readonly Check[]): string {
  const rows = checks.map(({ name, value, unit, bound, holds }) => [
    `${holds ? 'ok   ' : 'SHORT'}  ${name}`,
    `${number(value)} ${unit}`.trimEnd(),
    'atLeast' in bound
      ? `at least ${String(bound.atLeast)}`
      : 'below' in bound
        ? `below ${String(bound.below)}`
        : `at most ${String(bound.atMost)}`,
  ]);
  return textTable(rows, true);
}

function number(value: number): string {
  return value.toLocaleString('en');
}
