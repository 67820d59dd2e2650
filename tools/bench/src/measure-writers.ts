import { isTidemarkError } from '@tidemark/model';
import { closeAfter, meterOf, type Bed } from './bed.js';
import type { Phase } from './meter.js';
import { round, summarize, type Summary } from './statistics.js';
import { StoreClient, type StoreRun } from './store-client.js';
import { startStore, storeGroup } from './store-process.js';
import { employee } from './workload.js';

const WRITERS = 8;
/** Each writer edits its own records over and over, so that every commit writes a version and history. */
const RECORDS = 100;
const WARM_UP_MS = 1_500;
const ALONE_MS = 3_000;
const TOGETHER_MS = 8_000;

/** Commits of one record each, one after the other per writer. */
export interface WriterFigure {
  readonly commitsPerSecond: number;
  readonly latency: Summary;
  /** Calls that the store refused for the time being; each was sent again. */
  readonly refused: number;
}

/** One writer alone on one store process, before and after eight on two processes, all of the same connection. */
export interface WriterFigures {
  readonly writers: number;
  readonly alone: WriterFigure;
  readonly together: WriterFigure;
  readonly phases: readonly Phase[];
}

interface Writer {
  readonly run: StoreRun;
  readonly client: StoreClient;
  edits: number;
}

/** Compares writers of one connection side by side with one at a time. */
export async function measureWriters(bed: Bed): Promise<WriterFigures> {
  return closeAfter(async (closing) => {
    bed.say(`${String(WRITERS)} writers of one connection`);
    const group = storeGroup('writers');
    const stores = [await startStore(bed, group, 'store'), await startStore(bed, group, 'second store')];
    const clients = stores.map((store) => new StoreClient(store, group));
    closing.push(
      ...stores.map((store) => () => store.stop()),
      ...clients.map((client) => () => client.close()),
    );
    const writers = await prepareWriters(clients);
    const meter = meterOf(bed, stores, 'bench');
    const phase = async (name: string, some: readonly Writer[], ms: number) => {
      await writeFor(some, WARM_UP_MS);
      return meter.measure(
        name,
        ({ latencies }) => latencies.length,
        () => writeFor(some, ms),
      );
    };
    const first = await phase('one writer', writers.slice(0, 1), ALONE_MS);
    const together = await phase(`${String(WRITERS)} writers`, writers, TOGETHER_MS);
    const last = await phase('one writer again', writers.slice(0, 1), ALONE_MS);
    return {
      writers: WRITERS,
      alone: figure([first, last]),
      together: figure([together]),
      phases: meter.phases,
    };
  });
}

async function prepareWriters(clients: readonly StoreClient[]): Promise<Writer[]> {
  const models = Array.from({ length: WRITERS }, (_, i) => `employees${String(i)}`);
  await clients[0]?.open('bench', models);
  const writers: Writer[] = [];
  for (const [i, model] of models.entries()) {
    const client = clients[i % clients.length];
    if (client === undefined) throw new Error('there is no store');
    const run = await client.begin('bench', model);
    await run.commit(run.page(Array.from({ length: RECORDS }, (_, record) => employee(record, 0))));
    writers.push({ run, client, edits: 0 });
  }
  return writers;
}

interface Written {
  readonly seconds: number;
  readonly latencies: readonly number[];
  readonly refused: number;
}

async function writeFor(writers: readonly Writer[], ms: number): Promise<Written> {
  const started = performance.now();
  const results = await Promise.all(writers.map((writer) => writeUntil(writer, started + ms)));
  return {
    seconds: (performance.now() - started) / 1_000,
    latencies: results.flatMap(({ latencies }) => latencies),
    refused: results.reduce((sum, { refused }) => sum + refused, 0),
  };
}

async function writeUntil(writer: Writer, end: number) {
  const latencies: number[] = [];
  let refused = 0;
  while (performance.now() < end) {
    writer.edits++;
    const page = writer.run.page([employee(writer.edits % RECORDS, writer.edits)]);
    const started = performance.now();
    refused += await commitAtLast(writer.run, page);
    latencies.push(performance.now() - started);
  }
  return { latencies, refused };
}

/** Commits a page, again as long as the store says that it may be tried again; gives back how often it did. */
async function commitAtLast(run: StoreRun, page: ReturnType<StoreRun['page']>): Promise<number> {
  for (let refused = 0; ; refused++) {
    try {
      await run.commit(page);
      return refused;
    } catch (error) {
      if (!isTidemarkError(error, 'DATABASE_UNAVAILABLE')) throw error;
    }
  }
}

function figure(parts: readonly Written[]): WriterFigure {
  const latencies = parts.flatMap((part) => part.latencies);
  const sum = (of: (part: Written) => number) => parts.reduce((total, part) => total + of(part), 0);
  return {
    commitsPerSecond: round(latencies.length / sum(({ seconds }) => seconds)),
    latency: summarize(latencies),
    refused: sum(({ refused }) => refused),
  };
}
