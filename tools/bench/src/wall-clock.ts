/** What to add to `performance.now()` for the wall clock's ms since 1970, finer than the wall clock's own milliseconds. */
export function wallClockOffset(): number {
  // The moment at which its millisecond changes is known exactly; the best of a few, for the process may be interrupted.
  const offsets = Array.from({ length: 20 }, () => {
    const before = Date.now();
    let now = before;
    while (now === before) now = Date.now();
    return now - performance.now();
  });
  return Math.max(...offsets);
}

/** One write: when its call started, when it was answered, and when a watcher had it, in ms of one clock. */
export interface TimedWrite {
  readonly started: number;
  readonly answered: number;
  readonly seen: number;
}

/**
 * How long after its entry in the database's log each write was seen. `walls` are the entries' times, cut to milliseconds:
 * half of one is added, which is right on average. Throws when a write has no entry of its own.
 */
export function sinceLogged(
  writes: readonly TimedWrite[],
  walls: readonly number[],
  toWallClock: number,
): number[] {
  const sorted = [...walls].sort((a, b) => a - b);
  let next = 0;
  return writes.map(({ started, seen }) => {
    // Clocks agree to a millisecond at best, and writes lie further apart than that.
    while ((sorted[next] ?? Infinity) < Math.floor(started + toWallClock) - 1) next++;
    const wall = sorted[next++];
    if (wall === undefined || wall > seen + toWallClock + 1)
      throw new Error("a write was seen that has no entry in the database's log");
    return seen + toWallClock - wall - 0.5;
  });
}
