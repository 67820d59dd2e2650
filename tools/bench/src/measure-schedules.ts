import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSecrets } from '@tidemark/cli';
import { Living } from '@tidemark/e2e/living';
import { closeAfter, type Bed, type Closing } from './bed.js';
import type { GatewayClient } from './gateway-client.js';
import type { Phase } from './meter.js';
import { dataDirOf, startServices, type Services } from './mirror.js';
import { ScheduleView, type RunTimes } from './mongo-schedules.js';
import { round, summarize, type Summary } from './statistics.js';

const RECORDS = 10;
const CONNECTOR = 'living';
const MODEL = 'items';
const HOUR = 3_600;
/** Of calls that prepare the measurement. */
const AT_ONCE = 8;
const LOOK_MS = 250;
/** By then the scheduler has noticed: it looks for wake-ups that were moved every 5 s, and at its uptime every 10 s. */
const AHEAD_MS = 16_000;
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** A run of each of many connections, all due at one moment, in one scheduler process. */
export interface ScheduleFigures {
  readonly connections: number;
  readonly runsPerSecond: number;
  /** From when they were due until the last one ended. */
  readonly seconds: number;
  /** From when they were due until each was asked for, started and ended, in ms. */
  readonly asked: Summary;
  readonly started: Summary;
  readonly ended: Summary;
  /** How long each was worked on, in ms. */
  readonly work: Summary;
  /** First full syncs of the same connections as they were made. */
  readonly firstRunsPerSecond: number;
  readonly phases: readonly Phase[];
}

/** Lets the deltas of many small connections come due at once. */
export async function measureSchedules(bed: Bed, connections: number): Promise<ScheduleFigures> {
  return closeAfter(async (closing) => {
    bed.say(`${String(connections)} connections`);
    const view = await ScheduleView.open(bed.mongo.uri);
    closing.push(() => view.close());
    const { living, services } = await startAll(bed, closing);
    await fillSources(living, connections);
    const phase = <T>(name: string, work: () => Promise<T>) =>
      services.meter.measure(name, connections, work);
    const first = await phase('first syncs of connections', () =>
      connectAll(services.client, view, connections),
    );
    bed.say('a delta of each, due at once');
    await until(async () => (await view.wakeUps(CONNECTOR)) >= connections);
    const due = new Date(Date.now() + AHEAD_MS);
    await view.makeDue(2 * HOUR * 1_000, due);
    await new Promise((resolve) => setTimeout(resolve, due.getTime() - Date.now()));
    const times = await phase('due deltas', async () => {
      await until(async () => (await view.succeeded(CONNECTOR, 'DELTA')) >= connections);
      return view.times(CONNECTOR, 'DELTA');
    });
    return {
      ...figures(times, due.getTime()),
      firstRunsPerSecond: rateOf(first),
      phases: services.meter.phases,
    };
  });
}

async function startAll(bed: Bed, closing: Closing): Promise<{ living: Living; services: Services }> {
  const dataDir = dataDirOf(bed);
  await mkdir(dataDir, { recursive: true });
  // The sources have to trust the services before they are there.
  const { secrets } = await loadSecrets(join(dataDir, 'secrets.json'), bed.env);
  const living = await Living.start(ROOT, bed.folder, secrets.internalToken);
  closing.push(() => living.stop());
  const services = await startServices(bed, { TIDEMARK_CONNECTORS: `${CONNECTOR}=${living.address}` }, [
    { name: CONNECTOR, pid: living.pid },
  ]);
  closing.push(services.stop);
  return { living, services };
}

async function fillSources(living: Living, connections: number): Promise<void> {
  const records = Array.from({ length: RECORDS }, (_, i) => ({
    id: `r${String(i)}`,
    fields: { name: 'Ada' },
  }));
  await forEach(connections, async (name) => {
    const source = living.source(name);
    await source.behave({});
    await source.fill(MODEL, records);
  });
}

/** Makes the connections and waits for the first full sync of each. */
async function connectAll(
  client: GatewayClient,
  view: ScheduleView,
  connections: number,
): Promise<RunTimes[]> {
  await forEach(connections, (id) =>
    client.create(
      {
        id,
        connector: CONNECTOR,
        config: Buffer.from(JSON.stringify({ source: id })),
        schedule: {
          fullInterval: { seconds: 0n, nanos: 0 },
          deltaInterval: { seconds: BigInt(HOUR), nanos: 0 },
        },
      },
      false,
    ),
  );
  await until(async () => (await view.succeeded(CONNECTOR, 'FULL')) >= connections);
  return view.times(CONNECTOR, 'FULL');
}

function figures(
  times: readonly RunTimes[],
  due: number,
): Omit<ScheduleFigures, 'firstRunsPerSecond' | 'phases'> {
  const since = (moment: (run: RunTimes) => number) => summarize(times.map((run) => moment(run) - due));
  const seconds = (Math.max(...times.map(({ ended }) => ended)) - due) / 1_000;
  return {
    connections: times.length,
    runsPerSecond: round(times.length / seconds),
    seconds: round(seconds),
    asked: since(({ created }) => created),
    started: since(({ started }) => started),
    ended: since(({ ended }) => ended),
    work: summarize(times.map(({ started, ended }) => ended - started)),
  };
}

/** Of runs that began as their connections were made. */
function rateOf(times: readonly RunTimes[]): number {
  const from = Math.min(...times.map(({ created }) => created));
  const to = Math.max(...times.map(({ ended }) => ended));
  return round(times.length / ((to - from) / 1_000));
}

async function forEach(connections: number, work: (id: string) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < connections) await work(`${CONNECTOR}-${String(next++)}`);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
}
