import { beforeAll, describe, expect, test } from '@jest/globals';
import { syncIntervals, type ScheduledModel, type SyncInterval } from './schedule.js';
import { longestBackoff, planSyncs, type Cadence, type SyncFacts } from './sync-policy.js';
import { spreadOf } from './spread.js';

// A month of 1,000 connections in virtual time. Runs take from 1 s to 5 min; workers are not scarce here: how they are
// shared is another policy's matter.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MONTH = 30 * DAY;
const CONNECTIONS = 1_000;
/** Nobody is at work then. Runs under way are carried to their end at once afterwards. */
const DOWN = { from: 10 * DAY, to: 10 * DAY + 6 * HOUR };
/** Some connections are paused then. */
const PAUSED = { from: 20 * DAY, to: 22 * DAY };

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Tally {
  starts: number;
  successes: number;
  lastStart: number;
  longestGap: number;
  longestRetry: number;
}

interface Life {
  readonly facts: Omit<SyncFacts, 'awakeSince'>;
  readonly cadences: Mutable<Cadence>[];
  readonly running: { model: string; kind: 'FULL' | 'DELTA'; state: 'RUNNING' }[];
  readonly pauses: boolean;
  readonly tallies: (Tally & { readonly fails: boolean })[];
}

const model = (changes: Partial<ScheduledModel>): ScheduledModel => ({
  name: 'm',
  delta: false,
  webhook: false,
  pushHealthy: false,
  ...changes,
});

/** Deltas every 5 min for a few, for half of them because their webhooks are silent; every 30 min for more; for most full syncs alone. */
function modelOf(i: number): ScheduledModel {
  if (i % 80 === 0) return model({ delta: true });
  if (i % 80 === 1) return model({ delta: true, webhook: true });
  return i % 10 === 3 ? model({ delta: true, webhook: true, pushHealthy: true }) : model({});
}

/** Some fail always, some only their deltas. */
function fails(i: number, kind: SyncInterval['kind']): boolean {
  return i % 50 === 20 || (i % 50 === 3 && kind === 'DELTA');
}

function life(i: number): Life {
  const intervals = syncIntervals({ models: {} }, [modelOf(i)]);
  const cadences = intervals.map(({ model: name, kind }) => ({ model: name, kind, failuresInARow: 0 }));
  const running: Life['running'] = [];
  return {
    // All made within a minute: the worst that can happen to a schedule.
    facts: {
      connection: `tenant-${i % 7}/c${i}`,
      since: new Date((i * MINUTE) / CONNECTIONS),
      intervals,
      cadences,
      standing: running,
    },
    cadences,
    running,
    pauses: i % 20 === 11,
    tallies: intervals.map(({ kind }) => ({
      fails: fails(i, kind),
      starts: 0,
      successes: 0,
      lastStart: (i * MINUTE) / CONNECTIONS,
      longestGap: 0,
      longestRetry: 0,
    })),
  };
}

/** Times in order, each with what happens then. */
class Agenda {
  readonly #heap: { time: number; run: () => void }[] = [];

  at(time: number, run: () => void): void {
    const heap = this.#heap;
    let i = heap.push({ time, run }) - 1;
    for (let up = (i - 1) >> 1; i > 0 && heap[up]!.time > time; i = up, up = (i - 1) >> 1) this.#swap(i, up);
  }

  runUntil(end: number): void {
    const heap = this.#heap;
    for (let first = heap[0]; first !== undefined && first.time < end; first = heap[0]) {
      const last = heap.pop()!;
      if (heap.length > 0) {
        heap[0] = last;
        this.#sink();
      }
      first.run();
    }
  }

  #sink(): void {
    const heap = this.#heap;
    for (let i = 0; ;) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      let least = i;
      if (left < heap.length && heap[left]!.time < heap[least]!.time) least = left;
      if (right < heap.length && heap[right]!.time < heap[least]!.time) least = right;
      if (least === i) return;
      this.#swap(i, least);
      i = least;
    }
  }

  #swap(i: number, j: number): void {
    [this.#heap[i], this.#heap[j]] = [this.#heap[j]!, this.#heap[i]!];
  }
}

const lives = Array.from({ length: CONNECTIONS }, (_, i) => life(i));
const startsByMinute = new Uint16Array(MONTH / MINUTE + 1);
let overlaps = 0;
let plans = 0;

function live(): void {
  const agenda = new Agenda();
  const wakes = lives.map(() => 0);
  const plan = (i: number, time: number): void => {
    const each = lives[i]!;
    const down = time >= DOWN.from && time < DOWN.to;
    if (down) return agenda.at(DOWN.to, () => plan(i, DOWN.to));
    const paused = each.pauses && time >= PAUSED.from && time < PAUSED.to;
    if (paused) return agenda.at(PAUSED.to, () => plan(i, PAUSED.to));
    plans++;
    const awakeSince = new Date(time >= DOWN.to ? DOWN.to : 0);
    const { due, wakeTime } = planSyncs(new Date(time), { ...each.facts, awakeSince });
    for (const sync of due) start(i, sync, time);
    // A wake-up that a later plan replaced does nothing.
    const turn = (wakes[i]! += 1);
    agenda.at(wakeTime!.getTime(), () => {
      if (wakes[i] === turn) plan(i, wakeTime!.getTime());
    });
  };
  const start = (i: number, sync: SyncInterval, time: number): void => {
    const each = lives[i]!;
    const index = each.facts.intervals.findIndex(({ kind }) => kind === sync.kind);
    const [cadence, tally] = [each.cadences[index]!, each.tallies[index]!];
    if (each.running.some(({ kind }) => kind === sync.kind)) overlaps++;
    startsByMinute[Math.floor(time / MINUTE)]! += 1;
    const gap = time - tally.lastStart;
    // The first delta waits for the first full sync.
    const counts = sync.kind === 'FULL' || tally.starts > 0;
    if (counts && (time < DOWN.from || tally.lastStart >= DOWN.to))
      tally.longestGap = Math.max(tally.longestGap, gap);
    if (cadence.lastFailure !== undefined && tally.lastStart >= DOWN.to)
      tally.longestRetry = Math.max(
        tally.longestRetry,
        time - Math.max(cadence.lastFailure.getTime(), tally.lastStart),
      );
    tally.starts++;
    tally.lastStart = time;
    cadence.lastStart = new Date(time);
    each.running.push({ model: sync.model, kind: sync.kind, state: 'RUNNING' });
    const took =
      SECOND + spreadOf(`${i} ${tally.starts}`) * (sync.kind === 'FULL' ? 5 * MINUTE : 10 * SECOND);
    agenda.at(time + took, () => end(i, index, time + took));
  };
  const end = (i: number, index: number, time: number): void => {
    const each = lives[i]!;
    const cadence = each.cadences[index]!;
    each.running.splice(
      each.running.findIndex(({ kind }) => kind === cadence.kind),
      1,
    );
    if (each.tallies[index]!.fails) {
      cadence.lastFailure = new Date(time);
      cadence.failuresInARow++;
    } else {
      cadence.lastSuccess = new Date(time);
      each.tallies[index]!.successes++;
      // A full sync counts as a delta.
      for (const tally of each.tallies)
        tally.lastStart = Math.max(
          tally.lastStart,
          cadence.lastStart!.getTime() * Number(cadence.kind === 'FULL'),
        );
    }
    plan(i, time);
  };
  lives.forEach((_, i) => plan(i, (i * MINUTE) / CONNECTIONS));
  agenda.runUntil(MONTH);
}

describe('a month of 1,000 connections', () => {
  beforeAll(live);

  test('starves none: each starts again within its interval', () => {
    for (const { facts, pauses, tallies } of lives) {
      tallies.forEach((tally, i) => {
        if (tally.fails || pauses) return;
        const { kind, intervalMs } = facts.intervals[i]!;
        expect(tally.longestGap).toBeLessThanOrEqual(intervalMs + 1);
        const turns = (MONTH - (DOWN.to - DOWN.from)) / intervalMs;
        expect(tally.successes).toBeGreaterThan(
          0.9 * (kind === 'DELTA' ? turns - DAY / intervalMs : turns) - 2,
        );
        expect(tally.starts).toBeLessThan((MONTH / intervalMs) * 1.12 + 2);
      });
    }
  });

  test('brings no herd, not after a downtime of 6 h and not from connections made together', () => {
    const usual = lives
      .flatMap(({ facts }) => facts.intervals)
      .reduce((sum, { intervalMs }) => sum + MINUTE / intervalMs, 0);
    const busiest = (from: number, to: number) =>
      Math.max(...startsByMinute.subarray(from / MINUTE, to / MINUTE));
    expect(busiest(2 * DAY, DOWN.from)).toBeLessThan(3 * usual);
    // At first all were made within a minute; then all were late at once.
    expect(busiest(0, 2 * DAY)).toBeLessThan(CONNECTIONS / 10);
    expect(busiest(DOWN.to, DOWN.to + DAY)).toBeLessThan(CONNECTIONS / 3);
    expect(busiest(DOWN.to + 3 * DAY, PAUSED.to)).toBeLessThan(4 * usual);
  });

  test('never runs two of a kind of a model at a time', () => {
    expect(overlaps).toBe(0);
    expect(plans).toBeGreaterThan(CONNECTIONS * 30);
  });

  test('backs off from what fails, within bounds', () => {
    for (const { facts, tallies } of lives) {
      tallies.forEach((tally, i) => {
        if (!tally.fails) return;
        const interval = facts.intervals[i]!;
        expect(tally.longestRetry).toBeLessThanOrEqual(longestBackoff(interval) + 1);
        if (interval.kind === 'FULL') expect(tally.starts).toBeGreaterThan((0.9 * MONTH) / HOUR);
        expect(tally.starts).toBeLessThan((MONTH / longestBackoff(interval)) * 1.2 + 20);
      });
    }
  });

  test('goes on with connections that were paused', () => {
    for (const { facts, pauses, tallies } of lives) {
      if (!pauses || tallies[0]!.fails) continue;
      expect(tallies[0]!.lastStart).toBeGreaterThan(MONTH - facts.intervals[0]!.intervalMs);
    }
  });
});
