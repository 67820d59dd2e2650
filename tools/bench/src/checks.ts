import type { Figures } from './scenario.js';
import type { MirrorFigures } from './measure-mirror.js';
import { round } from './statistics.js';

/** A promise of the benchmark: a figure and where it has to lie. */
export interface Check {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The least or the most that `value` may be. */
  readonly bound: { readonly atLeast: number } | { readonly below: number } | { readonly atMost: number };
  readonly holds: boolean;
}

type Measured = Omit<Figures, 'checks'>;

/** Judges everything that was measured. */
export function checksOf(figures: Measured): readonly Check[] {
  return [
    ...(figures.mirror ? [...syncChecks(figures.mirror), ...readChecks(figures.mirror)] : []),
    ...overheadChecks(figures),
    ...latencyChecks(figures),
    ...watcherChecks(figures),
    ...writerChecks(figures),
    ...(figures.mirror ? sizeChecks(figures.mirror) : []),
  ];
}

function syncChecks({ raw, sync }: MirrorFigures): readonly Check[] {
  if (!sync) return [];
  return [
    atLeast('first sync / raw insert', raw.insert / sync.first, 0.4),
    atLeast('identical re-sync / raw insert', raw.insert / sync.identical, 0.8),
    atLeast('all-changed re-sync / raw insert', raw.insert / sync.edited, 0.25),
  ];
}

function readChecks({ raw, read }: MirrorFigures): readonly Check[] {
  if (!read) return [];
  const { scattered, clustered } = read.changes;
  return [
    atLeast('full read / raw scan', raw.scan / read.seconds, 1.3),
    check('first page', read.firstPageMs, 'ms', { below: 50 }),
    atMost('1,000 changes, large / small, scattered', scattered.largeMs / scattered.smallMs, 1.5),
    atMost('1,000 changes, large / small, clustered', clustered.largeMs / clustered.smallMs, 1.5),
  ];
}

function overheadChecks({ overhead, schedules }: Measured): readonly Check[] {
  return [
    ...(overhead ? [check('unchanged sync, p50', overhead.moments.seen.p50, 'ms', { below: 150 })] : []),
    ...(schedules ? [check('due deltas', schedules.runsPerSecond, 'runs/s', { atLeast: 30 })] : []),
  ];
}

function latencyChecks({ latency }: Measured): readonly Check[] {
  if (!latency) return [];
  const { tidemark, bareInsert } = latency;
  return [
    atMost('commit → watcher, p50 / bare p50', tidemark.delivery.p50 / bareInsert.delivery.p50, 2),
    atMost('commit → watcher, p99 / bare p99', tidemark.delivery.p99 / bareInsert.delivery.p99, 3),
  ];
}

function watcherChecks({ watchers }: Measured): readonly Check[] {
  if (!watchers) return [];
  const { changeStreams, memoryMb } = watchers;
  return [
    check(
      'change streams of a store and 500 watchers',
      changeStreams.withAll - changeStreams.withoutStore,
      '',
      {
        atMost: 1,
      },
    ),
    check('memory that 500 watchers add', memoryMb.withAll - memoryMb.withOne, 'MB', { below: 100 }),
  ];
}

function writerChecks({ writers }: Measured): readonly Check[] {
  if (!writers) return [];
  const { alone, together } = writers;
  return [
    atLeast('8 writers / one at a time', together.commitsPerSecond / alone.commitsPerSecond, 5),
    check('8 writers, p99 / p50', round(together.latency.p99 / together.latency.p50), 'x', { below: 10 }),
  ];
}

function sizeChecks({ size, peakMemoryMb }: MirrorFigures): readonly Check[] {
  const { store } = peakMemoryMb;
  return [
    ...(store === undefined ? [] : [check('peak memory of the store', store, 'MB', { below: 300 })]),
    ...(size
      ? [
          atMost(
            'database / raw collection, after the first sync',
            size.afterFirstSync.totalMb / size.raw.totalMb,
            1.5,
          ),
        ]
      : []),
  ];
}

function atLeast(name: string, value: number, bound: number): Check {
  return check(name, round(value), 'x', { atLeast: bound });
}

function atMost(name: string, value: number, bound: number): Check {
  return check(name, round(value), 'x', { atMost: bound });
}

function check(name: string, value: number, unit: string, bound: Check['bound']): Check {
  const holds =
    'atLeast' in bound
      ? value >= bound.atLeast
      : 'below' in bound
        ? value < bound.below
        : value <= bound.atMost;
  return { name, value, unit, bound, holds };
}
