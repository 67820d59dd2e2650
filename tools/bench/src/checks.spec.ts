import { describe, expect, it } from '@jest/globals';
import { checksOf } from './checks.js';
import type { MirrorFigures } from './measure-mirror.js';
import type { WriterFigure } from './measure-writers.js';
import type { DatabaseSize } from './mongo-size.js';
import { reportOf } from './report.js';
import { summarize } from './statistics.js';

const machine = { records: 1_000, cores: 2, mongodb: '8.0.0' };
const size = (totalMb: number): DatabaseSize => ({ dataMb: totalMb, indexMb: 0, totalMb, collectionsMb: {} });
const latency = (ms: number) => ({
  answered: summarize([ms]),
  seen: summarize([ms]),
  delivery: summarize([ms]),
});
const writer = (commitsPerSecond: number, latencies: number[]): WriterFigure => ({
  commitsPerSecond,
  latency: summarize(latencies),
  refused: 0,
});
const mirror: MirrorFigures = {
  raw: { insert: 4, scan: 2.6 },
  sync: { first: 10, identical: 5.1, churned: 8, edited: 16 },
  read: {
    seconds: 2,
    parsedSeconds: 3,
    firstPageMs: 50,
    changes: {
      smallRecords: 500,
      scattered: { records: 100, largeMs: 31, smallMs: 20 },
      clustered: { records: 100, largeMs: 30, smallMs: 20 },
    },
  },
  size: { raw: size(20), afterFirstSync: size(30), afterEditedSync: size(90) },
  peakMemoryMb: { store: 299, gateway: undefined },
  phases: [],
};

const verdicts = (figures: Parameters<typeof checksOf>[0]) =>
  Object.fromEntries(checksOf(figures).map(({ name, value, holds }) => [name, [value, holds]]));

describe('the checks', () => {
  it('compare syncs and reads with the plain driver', () => {
    expect(verdicts({ ...machine, mirror })).toEqual({
      'first sync / raw insert': [0.4, true],
      'identical re-sync / raw insert': [0.78, false],
      'all-changed re-sync / raw insert': [0.25, true],
      'full read / raw scan': [1.3, true],
      'first page': [50, false],
      '1,000 changes, large / small, scattered': [1.55, false],
      '1,000 changes, large / small, clustered': [1.5, true],
      'peak memory of the store': [299, true],
      'database / raw collection, after the first sync': [1.5, true],
    });
  });

  it('compare commits with the plain change stream and with one writer at a time', () => {
    const figures = {
      ...machine,
      latency: {
        bareInsert: latency(2),
        bareTransaction: latency(3),
        tidemark: latency(5),
        phases: [],
      },
      watchers: {
        watchers: 500,
        changeStreams: { withoutStore: 0, withOne: 1, withAll: 2 },
        memoryMb: { withOne: 100, withAll: 199, peak: 300 },
        delivery: summarize([1]),
        phases: [],
      },
      writers: { writers: 8, alone: writer(100, [9]), together: writer(499, [5, 50]), phases: [] },
    };
    expect(verdicts(figures)).toEqual({
      'commit → watcher, p50 / bare p50': [2.5, false],
      'commit → watcher, p99 / bare p99': [2.5, true],
      'change streams of a store and 500 watchers': [2, false],
      'memory that 500 watchers add': [99, true],
      '8 writers / one at a time': [4.99, false],
      '8 writers, p99 / p50': [10, false],
    });
  });

  it('leave out what was not measured', () => {
    const { raw, peakMemoryMb, phases } = mirror;
    expect(checksOf(machine)).toEqual([]);
    expect(Object.keys(verdicts({ ...machine, mirror: { raw, peakMemoryMb, phases } }))).toEqual([
      'peak memory of the store',
    ]);
  });
});

describe('the report', () => {
  it('tells each figure once, what fell short, and what limits', () => {
    const phase = {
      name: 'first sync',
      records: 1_000,
      seconds: 10,
      processes: [
        { name: 'store', cpuSeconds: 5, loopShare: 0.5 },
        { name: 'mongod', cpuSeconds: 2 },
      ],
      server: {
        commands: { find: 60, insert: 10 },
        committed: 3,
        aborted: 2,
        journalSyncs: 5,
        journalSyncMs: 9,
        pagesRead: 0,
      },
      limit: 'something',
    };
    const figures = { ...machine, mirror: { ...mirror, phases: [{ ...phase, limit: 'cold' }, phase] } };
    const report = reportOf({ ...figures, checks: checksOf(figures) });
    expect(report).toMatch(/^first sync +100 +0\.4 x raw insert$/m);
    expect(report).toMatch(/^first sync +5,000 \(50 %\) +2,000 +7,000 +70 +2 +5 +0 +something$/m);
    expect(report).toMatch(/^SHORT {2}first page +50 ms +below 50$/m);
    expect(report).not.toMatch(/cold|writers/);
  });
});
