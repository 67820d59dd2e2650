import { availableParallelism, cpus } from 'node:os';
import { limitOf, type ProcessUsage } from './limit.js';
import type { ServerView } from './mongo-server.js';
import { cpuTimes, type ProcessName } from './process-files.js';
import { countsBetween, type ServerCounts } from './server-counts.js';
import { round } from './statistics.js';

/** What a phase took, and of whom. */
export interface Phase {
  readonly name: string;
  /** Records, or commits, that it dealt with. */
  readonly records: number;
  readonly seconds: number;
  readonly processes: readonly ProcessUsage[];
  /** What the database counted meanwhile. */
  readonly server?: ServerCounts;
  readonly limit: string;
}

/** Watches processes while phases of a benchmark run. */
export class Meter {
  readonly phases: Phase[] = [];

  /** Without a `server`, phases tell nothing of the database's counts. */
  constructor(
    readonly processes: readonly ProcessName[],
    readonly server?: Pick<ServerView, 'counts'>,
  ) {}

  /** Runs a phase; `records` may be told afterwards, by the result. */
  async measure<T>(
    name: string,
    records: number | ((result: T) => number),
    work: () => Promise<T>,
  ): Promise<T> {
    const before = await this.#read();
    const started = performance.now();
    const result = await work();
    const seconds = (performance.now() - started) / 1_000;
    const after = await this.#read();
    const processes = this.processes.flatMap(({ name: process, manyThreads }, index): ProcessUsage[] => {
      const [first, last] = [before.times[index], after.times[index]];
      if (first === undefined || last === undefined) return [];
      const loopShare = round(Math.min(1, (last.main - first.main) / seconds));
      const cpuSeconds = round(last.all - first.all);
      return [{ name: process, cpuSeconds, ...(manyThreads ? {} : { loopShare }) }];
    });
    this.phases.push({
      name,
      records: typeof records === 'number' ? records : records(result),
      seconds: round(seconds),
      processes,
      ...(before.server && after.server ? { server: countsBetween(before.server, after.server) } : {}),
      limit: limitOf(seconds, processes, availableParallelism(), after.machine - before.machine),
    });
    return result;
  }

  async #read() {
    const server = await this.server?.counts();
    const machine = machineSeconds();
    const times = await Promise.all(this.processes.map(({ pid }) => cpuTimes(pid)));
    return { times, machine, server };
  }
}

/** CPU time of everything on the machine since its start. */
function machineSeconds(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) / 1_000;
}
