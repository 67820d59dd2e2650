import { setTimeout as delay } from 'node:timers/promises';
import { closeAfter, meterOf, type Bed } from './bed.js';
import type { Phase } from './meter.js';
import { BARE_INSERTS, BARE_LOG, BareStream } from './mongo-bare-stream.js';
import { loggedInserts } from './mongo-oplog.js';
import { summarize, type Summary } from './statistics.js';
import { StoreClient } from './store-client.js';
import { startStore, storeGroup } from './store-process.js';
import { sinceLogged, wallClockOffset, type TimedWrite } from './wall-clock.js';
import { Watch } from './watch.js';
import { employee } from './workload.js';

const WARM_UP = 50;
const SAMPLES = 520;
/** Between two writes of any kind: what one leaves behind must not slow the next. */
const PAUSE_MS = 4;
const STORE_LOG = 'latency_store.commits';

/** Milliseconds of single writes, each alone on its way. */
export interface WriteLatency {
  /** From the call's start to its answer. */
  readonly answered: Summary;
  /** From the call's start until a watcher has the change. */
  readonly seen: Summary;
  /** From the moment at which the database has the write in its log until a watcher has the change. */
  readonly delivery: Summary;
}

/** The same of the plain driver and of the store, taken in turns. */
export interface LatencyFigures {
  readonly bareInsert: WriteLatency;
  readonly bareTransaction: WriteLatency;
  readonly tidemark: WriteLatency;
  readonly phases: readonly Phase[];
}

type Write = (i: number) => Promise<TimedWrite>;

/** Measures how long it takes from a write until a watcher has it. */
export async function measureLatency(bed: Bed): Promise<LatencyFigures> {
  return closeAfter(async (closing) => {
    bed.say('latency from commit to watcher');
    const group = storeGroup('latency');
    const store = await startStore(bed, group, 'store');
    closing.push(() => store.stop());
    const client = new StoreClient(store, group);
    closing.push(() => client.close());
    const bare = await BareStream.open(bed.mongo.uri);
    closing.push(() => bare.close());
    await client.open('bench', ['employees']);
    const run = await client.begin('bench', 'employees');
    const watch = await Watch.open(client, 'bench');
    closing.push(() => watch.close());
    const writes: Write[] = [
      (i) => bare.insert(String(i), employee(i, 0)),
      (i) => bare.transact(String(i), employee(i, 0)),
      (i) => watch.commit(run, i),
    ];
    await inTurns(writes, 0, WARM_UP);
    const meter = meterOf(bed, [store], 'bench');
    const toWallClock = wallClockOffset();
    const timed = await meter.measure('single writes in turns', SAMPLES, () =>
      inTurns(writes, WARM_UP, SAMPLES),
    );
    const latencies = await Promise.all(
      [BARE_INSERTS, BARE_LOG, STORE_LOG].map(async (namespace, kind) =>
        latencyOf(timed[kind] ?? [], await loggedInserts(bed.mongo.uri, namespace), toWallClock),
      ),
    );
    const [bareInsert, bareTransaction, tidemark] = latencies;
    if (!bareInsert || !bareTransaction || !tidemark) throw new Error('nothing was measured');
    return { bareInsert, bareTransaction, tidemark, phases: meter.phases };
  });
}

/** Does each kind of write so many times, one after the other, so that all meet the same machine. */
async function inTurns(writes: readonly Write[], first: number, count: number): Promise<TimedWrite[][]> {
  const samples = writes.map((): TimedWrite[] => []);
  for (let i = first; i < first + count; i++) {
    for (const [kind, write] of writes.entries()) {
      await delay(PAUSE_MS + (i % 5));
      samples[kind]?.push(await write(i));
    }
  }
  return samples;
}

function latencyOf(
  writes: readonly TimedWrite[],
  walls: readonly number[],
  toWallClock: number,
): WriteLatency {
  return {
    answered: summarize(writes.map(({ started, answered }) => answered - started)),
    seen: summarize(writes.map(({ started, seen }) => seen - started)),
    delivery: summarize(sinceLogged(writes, walls, toWallClock)),
  };
}
