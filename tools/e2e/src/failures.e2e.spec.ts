import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SyncKind } from '@tidemark/contracts';
import { Cluster } from './chaos/cluster.js';
import { CRASH, FAULT_CASES, type FaultCase } from './failures/fault-cases.js';
import { Mirror, MODEL } from './failures/mirror.js';
import { Ordeal, PAGE_SIZE, RECORDS } from './failures/ordeal.js';
import type { LivingSourceControl } from './source/living-client.js';
import { until } from './world.js';

// Every failure at every page of full syncs and deltas: nothing is deleted that the source still has, and what it has lost is gone
// after the next full sync. All mirrors at once, for they mostly wait.

const SYNCS = ['FULL', 'DELTA'] as const;
const CASES = [...FAULT_CASES, CRASH].flatMap((given) =>
  SYNCS.map((sync) => ({ given, sync, name: given.name })),
);
/** A page that is missing is more, and what the source loses at once is less. */
const GUARDED = 0.15;
const AT_ONCE = 16;
/** The least that the scheduler takes to be an outage here; a source answers within milliseconds. */
const SILENCE_SECONDS = '3';

let cluster: Cluster;
const ends = new Map<string, PromiseSettledResult<void>>();

beforeAll(async () => {
  const scheduling = {
    TIDEMARK_SOURCE_SILENCE_SECONDS: SILENCE_SECONDS,
    TIDEMARK_RUNS_PER_TENANT: '64',
    TIDEMARK_RUNS_PER_CONNECTOR: '64',
    TIDEMARK_RUN_SLOTS: '32',
  };
  cluster = await Cluster.start({ schedulers: 1, stores: 1, connectors: ['living', 'mortal'], scheduling });
  const left = CASES.filter(({ given }) => given !== CRASH);
  const some = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift())
      await undergo(next.given, next.sync);
  };
  await Promise.all([crash(), ...Array.from({ length: AT_ONCE }, some)]);
}, 240_000);

afterAll(async () => {
  await cluster.stop();
}, 60_000);

describe('a failure at each page', () => {
  it.each(CASES)('of a sync ($sync) deletes nothing falsely: $name', ({ given, sync }) => {
    expect(ends.get(nameOf(given, sync))).toEqual({ status: 'fulfilled', value: undefined });
  });
});

describe('a false end within the limits of the guard, of a source that does not count', () => {
  it('is believed, for nobody can tell, and the next full sync restores what it cost', async () => {
    const mirror = await connect({ name: 'believed', maxDeletedShare: 1 });
    await mirror.source.fail({ kind: 'cutShort', sync: 'FULL', page: 4 });
    const deceived = await mirror.run(SyncKind.FULL);
    expect(deceived).toMatchObject({ certificate: { certified: true }, counters: { deleted: 10n } });
    expect(await mirror.run(SyncKind.FULL)).toMatchObject({ counters: { created: 10n, updated: 0n } });
    expect(await mirror.stored()).toEqual(await mirror.truth());
    await mirror.settle();
    expect(mirror.watch.deletes.every(({ runId }) => runId === deceived.id)).toBe(true);
  }, 60_000);
});

function nameOf({ name }: FaultCase, sync: string): string {
  return `${name} ${sync}`.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
}

/** Notes how an ordeal ends. */
async function undergo(given: FaultCase, sync: 'FULL' | 'DELTA', connector = 'living'): Promise<void> {
  const name = nameOf(given, sync);
  const [end] = await Promise.allSettled([
    connect(
      { ...given, name, maxDeletedShare: given.ending.ends === 'DECEIVED' ? GUARDED : 1 },
      connector,
    ).then((mirror) => {
      const attend = connector === 'mortal' ? revive(mirror) : undefined;
      return new Ordeal(mirror, given, sync, attend).run();
    }),
  ]);
  ends.set(name, end);
}

/** `maxDeletedShare` 1: a guard that lets everything pass, so that the certificate alone keeps records. */
async function connect(
  { name, behaviour, maxDeletedShare }: Pick<FaultCase, 'name' | 'behaviour'> & { maxDeletedShare: number },
  connector = 'living',
): Promise<Mirror> {
  const source = cluster.living(connector).source(name);
  await source.behave({ ...behaviour, pageSize: PAGE_SIZE });
  await fill(source);
  return Mirror.start({ cluster, connector, source, maxDeletedShare });
}

async function fill(source: LivingSourceControl): Promise<void> {
  const ids = Array.from({ length: RECORDS }, (_, index) => `r-${String(index).padStart(2, '0')}`);
  await source.fill(
    MODEL,
    ids.map((id) => ({ id, fields: { text: 'first' } })),
  );
}

/** One after the other, for a kill strikes all. */
async function crash(): Promise<void> {
  for (const sync of SYNCS) await undergo(CRASH, sync, 'mortal');
}

/** Starts the killed connector again, and waits for the run. */
function revive(mirror: Mirror): (runId: string) => ReturnType<Mirror['settled']> {
  return async (runId) => {
    await until(async () => (await mirror.source.faults().catch(() => undefined)) === undefined);
    await cluster.launch('mortal');
    return mirror.settled(runId);
  };
}
