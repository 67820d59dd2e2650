import { availableParallelism } from 'node:os';
import { withBed, type Surroundings } from './bed.js';
import { checksOf, type Check } from './checks.js';
import { measureLatency, type LatencyFigures } from './measure-latency.js';
import { measureMirror, type MirrorFigures } from './measure-mirror.js';
import { measureOverhead, type OverheadFigures } from './measure-overhead.js';
import { measureSchedules, type ScheduleFigures } from './measure-schedules.js';
import { measureWatchers, type WatcherFigures } from './measure-watchers.js';
import { measureWriters, type WriterFigures } from './measure-writers.js';
import type { Options, Section } from './options.js';

/** Everything that one run of the benchmark measured. Sections that were not asked for are absent. */
export interface Figures {
  readonly records: number;
  readonly cores: number;
  /** Of the MongoDB server. */
  readonly mongodb: string;
  readonly mirror?: MirrorFigures;
  readonly overhead?: OverheadFigures;
  readonly schedules?: ScheduleFigures;
  readonly latency?: LatencyFigures;
  readonly watchers?: WatcherFigures;
  readonly writers?: WriterFigures;
  readonly checks: readonly Check[];
}

const OF_MIRROR: readonly Section[] = ['sync', 'read', 'size'];

/** Runs the sections one after the other on one database, which is removed afterwards. */
export async function runScenario(
  { records, connections, sections }: Options,
  surroundings: Surroundings,
): Promise<Figures> {
  return withBed(surroundings, async (bed) => {
    const mirrors = OF_MIRROR.some((section) => sections.has(section));
    const figures = {
      records,
      cores: availableParallelism(),
      mongodb: bed.mongo.version,
      ...(mirrors ? { mirror: await measureMirror(bed, records, sections) } : {}),
      ...(sections.has('overhead') ? { overhead: await measureOverhead(bed) } : {}),
      ...(sections.has('schedules') ? { schedules: await measureSchedules(bed, connections) } : {}),
      // The stores of the others run alone, after the services of this one have stopped.
      ...(sections.has('latency') ? { latency: await measureLatency(bed) } : {}),
      ...(sections.has('watchers') ? { watchers: await measureWatchers(bed) } : {}),
      ...(sections.has('writers') ? { writers: await measureWriters(bed) } : {}),
    };
    return { ...figures, checks: checksOf(figures) };
  });
}
