import type { Driver } from '../chaos/cluster.js';

/** A run as the control database keeps it, as far as its times mind. */
export interface KeptRun {
  readonly _id: string;
  readonly connection: string;
  readonly kind: 'FULL' | 'DELTA';
  readonly state: string;
  readonly attempts: number;
  readonly createTime: Date;
  readonly startTime?: Date;
  readonly endTime?: Date;
}

/** How many runs began after a time and succeeded, by connection and kind. */
export async function countSucceeded(driver: Driver, since: Date): Promise<Map<string, number>> {
  const counted = await keptRuns(driver)
    .aggregate<{ _id: { connection: string; kind: string }; count: number }>([
      { $match: { state: 'SUCCEEDED', startTime: { $gt: since } } },
      { $group: { _id: { connection: '$connection', kind: '$kind' }, count: { $sum: 1 } } },
    ])
    .toArray();
  return new Map(counted.map(({ _id, count }) => [`${_id.connection} ${_id.kind}`, count]));
}

/** All runs by connection and kind, each in the order in which they began; those that wait come last. */
export async function runsByKey(driver: Driver): Promise<Map<string, KeptRun[]>> {
  const projection = {
    connection: 1,
    kind: 1,
    state: 1,
    attempts: 1,
    createTime: 1,
    startTime: 1,
    endTime: 1,
  };
  const grouped = new Map<string, KeptRun[]>();
  for (const run of await keptRuns(driver).find({}, { projection }).toArray()) {
    const key = `${run.connection} ${run.kind}`;
    const own = grouped.get(key);
    if (own === undefined) grouped.set(key, [run]);
    else own.push(run);
  }
  for (const own of grouped.values()) own.sort((a, b) => startOf(a) - startOf(b));
  return grouped;
}

/** What is wrong with the runs of one key: those that overlap, and those that came sooner after the one before than they may. */
export function timingFaults(key: string, runs: readonly KeptRun[], shortestMs: number): string[] {
  return runs.slice(1).flatMap((run, index) => {
    const before = runs[index];
    if (before === undefined || run.startTime === undefined) return [];
    const overlaps = before.endTime === undefined || before.endTime > run.startTime;
    const apart = startOf(run) - startOf(before);
    return [
      ...(overlaps ? [`${key}: ${run._id} began before ${before._id} had ended`] : []),
      ...(apart < shortestMs ? [`${key}: ${run._id} began ${apart} ms after ${before._id}`] : []),
    ];
  });
}

/** The times from one start to the next, in milliseconds, of runs that began after a time. */
export function intervals(runs: readonly KeptRun[], since: Date): number[] {
  const starts = runs.map(startOf).filter((time) => time > since.getTime() && time < Infinity);
  return starts.slice(1).map((time, index) => time - (starts[index] ?? NaN));
}

function keptRuns(driver: Driver) {
  return driver.db('tidemark_control').collection<KeptRun>('runs');
}

/** When a run began; one that waits will some day. */
export function startOf({ startTime }: KeptRun): number {
  return startTime?.getTime() ?? Infinity;
}
