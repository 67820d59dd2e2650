/** What one process did during a phase. */
export interface ProcessUsage {
  readonly name: string;
  /** CPU time of all its threads, in seconds. */
  readonly cpuSeconds: number;
  /** Share of the phase that its event loop was computing, 0 to 1; absent where it has none. */
  readonly loopShare?: number;
}

/** Above this share of what there is, something counts as used up. */
const FULL = 0.85;

/**
 * What limits a phase, in words: a process whose event loop is always busy, the machine's cores, or neither, and then it is
 * waiting for something: disk, network, timers. `machineSeconds` is the CPU time of everything that ran on the machine.
 */
export function limitOf(
  seconds: number,
  processes: readonly ProcessUsage[],
  cores: number,
  machineSeconds: number,
): string {
  const most = maxBy(processes, ({ cpuSeconds }) => cpuSeconds);
  const loop = maxBy(processes, ({ loopShare }) => loopShare ?? 0);
  const loopShare = loop?.loopShare ?? 0;
  if (most === undefined || loop === undefined || seconds <= 0) return 'unknown';
  const ours = processes.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
  const others = Math.max(0, machineSeconds - ours) / (seconds * cores);
  const machine = Math.max(machineSeconds, ours) / (seconds * cores);
  const strangers = others > 0.1 ? `, ${percent(others)} used by other programs` : '';
  if (loopShare >= FULL) return `${loop.name}-bound (event loop ${percent(loopShare)}${strangers})`;
  if (machine >= FULL) {
    return `CPU-bound (all ${String(cores)} cores; ${percent(most.cpuSeconds / ours)} of it ${most.name}${strangers})`;
  }
  return `waiting (${percent(machine)} of the cores used, ${percent(most.cpuSeconds / ours)} of it ${most.name}; busiest event loop ${loop.name} ${percent(loopShare)}${strangers})`;
}

/** A share of 1 as a whole percentage. */
export function percent(share: number): string {
  return `${String(Math.round(share * 100))} %`;
}

function maxBy<T>(items: readonly T[], key: (item: T) => number): T | undefined {
  return items.reduce<T | undefined>(
    (best, item) => (best === undefined || key(item) > key(best) ? item : best),
    undefined,
  );
}
