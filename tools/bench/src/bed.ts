import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedMongo, type EmbeddedMongo } from '@tidemark/mongo';
import { Meter } from './meter.js';
import { ServerView } from './mongo-server.js';
import type { ProcessName } from './process-files.js';

/** What the benchmark needs of its surroundings. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** What was started, to be stopped in reverse. */
export type Closing = (() => Promise<void> | void)[];

/** A folder and a database for one run of the benchmark. */
export interface Bed extends Surroundings {
  readonly folder: string;
  readonly mongo: EmbeddedMongo;
  readonly server: ServerView;
}

/** Runs `work` with a folder and a database of its own; both are gone afterwards. Throws when interrupted. */
export async function withBed<T>(surroundings: Surroundings, work: (bed: Bed) => Promise<T>): Promise<T> {
  return closeAfter(async (closing) => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
    closing.push(() => rm(folder, { recursive: true, force: true }));
    await mkdir(join(folder, 'logs'));
    const { env, say } = surroundings;
    const mongo = await startEmbeddedMongo({ dataDir: join(folder, 'mongo'), env, log: say });
    closing.push(() => mongo.stop());
    const server = await ServerView.open(mongo.uri);
    closing.push(() => server.close());
    return Promise.race([
      work({ ...surroundings, folder, mongo, server }),
      interruption(surroundings.signal),
    ]);
  });
}

/** Rejects when the signal aborts. */
function interruption(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const give = () => reject(new Error('interrupted'));
    if (signal.aborted) give();
    signal.addEventListener('abort', give, { once: true });
  });
}

/** Runs `work`, then closes in reverse order what it pushed, whether it succeeded or not. */
export async function closeAfter<T>(work: (closing: Closing) => Promise<T>): Promise<T> {
  const closing: Closing = [];
  try {
    return await work(closing);
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

/** A meter for these processes, the database and the benchmark itself, which is called by the part that it plays. */
export function meterOf({ mongo, server }: Bed, processes: readonly ProcessName[], self: string): Meter {
  const mongod = { name: 'mongod', pid: mongo.pid, manyThreads: true };
  return new Meter([...processes, mongod, { name: self, pid: process.pid }], server);
}
