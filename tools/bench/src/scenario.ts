import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Stack } from '@tidemark/cli';
import { startEmbeddedMongo } from '@tidemark/mongo';
import { BenchClient } from './client.js';
import { peakMemoryMb } from './peak-memory.js';
import { measureRaw } from './raw-process.js';
import { writeWorkload } from './workload.js';

/** Everything that one run of the benchmark measured. Rates are records/s; ratios are against the raw figure of the same run. */
export interface Figures {
  readonly records: number;
  readonly rawInsert: number;
  readonly rawScan: number;
  readonly firstSync: number;
  readonly identicalSync: number;
  readonly changedSync: number;
  readonly changedRecords: number;
  readonly readChanges: number;
  readonly readChangesMs: number;
  readonly fullRead: number;
  readonly fullReadParsed: number;
  readonly firstPageMs: number;
  readonly ratios: Readonly<
    Record<'firstSync' | 'identicalSync' | 'changedSync' | 'fullRead' | 'fullReadParsed', number>
  >;
  readonly peakMemoryMb: Readonly<Record<string, number | undefined>>;
}

/** What the benchmark needs of its surroundings. */
export interface ScenarioOptions {
  readonly records: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Runs the scenario in a folder of its own, which is removed afterwards. */
export async function runScenario(options: ScenarioOptions): Promise<Figures> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
  const closing: (() => Promise<void>)[] = [() => rm(folder, { recursive: true, force: true })];
  try {
    return await measure(folder, options, closing);
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

async function measure(
  folder: string,
  options: ScenarioOptions,
  closing: (() => Promise<void>)[],
): Promise<Figures> {
  const { records, env, say, signal } = options;
  const exports = join(folder, 'exports');
  const file = join(exports, 'employees.jsonl');
  await mkdir(exports);
  say(`writing ${records} employees`);
  await writeWorkload(file, records, 1);
  const mongo = await startEmbeddedMongo({ dataDir: join(folder, 'mongo'), env, log: say });
  closing.push(() => mongo.stop());
  const stack = await Stack.start({
    dataDir: join(folder, 'data'),
    port: 0,
    mongodbUri: mongo.uri,
    fileRoots: [exports],
    env,
    say,
    signal,
  });
  closing.push(() => stack.stop());
  const client = new BenchClient(stack.target.address, stack.target.apiKey ?? '');
  closing.push(async () => client.close());

  say('raw ceiling');
  const raws = [await measureRaw(mongo.uri, file)];
  await client.connect(exports);
  say('first sync');
  const first = await client.sync();
  say('identical re-sync');
  const identical = [(await client.sync()).seconds, (await client.sync()).seconds];
  const { completeThrough } = await client.read(undefined, false);
  say('full read');
  const full = [await client.read(undefined, false), await client.read(undefined, false)];
  const parsed = await client.read(undefined, true);
  say('re-sync of a changed source');
  await writeWorkload(file, records, 2);
  const changed = await client.sync();
  const changes = await client.read(completeThrough, false);
  say('raw ceiling again');
  raws.push(await measureRaw(mongo.uri, file));

  const processes = [
    ...stack.processes,
    { name: 'mongod', pid: mongo.pid },
    { name: 'reader', pid: process.pid },
  ];
  const peaks = await Promise.all(
    processes.map(async ({ name, pid }) => [name, await peakMemoryMb(pid)] as const),
  );
  const rate = (seconds: number) => Math.round(records / seconds);
  const raw = {
    insert: median(raws.map(({ insert }) => insert)),
    scan: median(raws.map(({ scan }) => scan)),
  };
  const read = median(full.map(({ seconds }) => seconds));
  return {
    records,
    rawInsert: rate(raw.insert),
    rawScan: rate(raw.scan),
    firstSync: rate(first.seconds),
    identicalSync: rate(median(identical)),
    changedSync: rate(changed.seconds),
    changedRecords: changes.records,
    readChanges: Math.round(changes.records / changes.seconds),
    readChangesMs: Math.round(changes.seconds * 1_000),
    fullRead: rate(read),
    fullReadParsed: rate(parsed.seconds),
    firstPageMs: Math.round(median(full.map(({ firstPageMs }) => firstPageMs))),
    ratios: {
      firstSync: round(raw.insert / first.seconds),
      identicalSync: round(raw.insert / median(identical)),
      changedSync: round(raw.insert / changed.seconds),
      fullRead: round(raw.scan / read),
      fullReadParsed: round(raw.scan / parsed.seconds),
    },
    peakMemoryMb: Object.fromEntries(peaks),
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low, high] =
    sorted.length % 2 === 1 ? [sorted[middle], sorted[middle]] : [sorted[middle - 1], sorted[middle]];
  return ((low ?? 0) + (high ?? 0)) / 2;
}

function round(ratio: number): number {
  return Math.round(ratio * 100) / 100;
}
