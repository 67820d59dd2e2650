import { readFile } from 'node:fs/promises';

/** Linux counts CPU time for readers of /proc in hundredths of a second, on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** A process to look at. */
export interface ProcessName {
  readonly name: string;
  readonly pid: number | undefined;
  /** Whether it works in many threads, of which the main one tells nothing. */
  readonly manyThreads?: boolean;
}

/** CPU time of a process since its start, in seconds. */
export interface CpuTimes {
  readonly all: number;
  /** Of its main thread, which is a Node process's event loop. */
  readonly main: number;
}

/** Resident memory of a process, in MB. */
export interface Memory {
  readonly now: number;
  readonly peak: number;
}

/** CPU time of a process; undefined where the system does not say. */
export async function cpuTimes(pid: number | undefined): Promise<CpuTimes | undefined> {
  const [all, main] = await Promise.all([
    readProcessFile(pid, 'stat'),
    readProcessFile(pid, `task/${String(pid)}/stat`),
  ]);
  return all === undefined || main === undefined ? undefined : { all: secondsIn(all), main: secondsIn(main) };
}

/** Resident memory of a process, now and at its most; undefined where the system does not say. */
export async function memory(pid: number | undefined): Promise<Memory | undefined> {
  const status = await readProcessFile(pid, 'status');
  if (status === undefined) return undefined;
  const megabytes = (field: string) =>
    Math.round(Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? NaN) / 1_024);
  return { now: megabytes('VmRSS'), peak: megabytes('VmHWM') };
}

/** User and system time in a `stat` file: the 12th and 13th field after the name in parentheses, which may hold anything. */
export function secondsIn(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function readProcessFile(pid: number | undefined, file: string): Promise<string | undefined> {
  if (pid === undefined) return undefined;
  try {
    return await readFile(`/proc/${String(pid)}/${file}`, 'utf8');
  } catch (error) {
    // No /proc on this system, or no such process any more.
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH'))
      return undefined;
    throw error;
  }
}
