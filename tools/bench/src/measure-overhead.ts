import { closeAfter, meterOf, type Bed } from './bed.js';
import { BareSyncs, BARE_WRITES } from './mongo-bare-sync.js';
import type { TimedSync } from './gateway-client.js';
import type { Phase } from './meter.js';
import { Mirror, startServices } from './mirror.js';
import { summarize, type Summary } from './statistics.js';

const RECORDS = 10;
const WARM_UP = 20;
/** Syncs, and as many of the bare calls, a block of each in turns. */
const BLOCKS = 4;
const BLOCK = 25;

/** What a sync costs that finds nothing new, in ms from its request. */
export interface OverheadFigures {
  readonly records: number;
  /** When it was answered, when its run started and ended, and when its success was seen through the run's watch. */
  readonly moments: Readonly<Record<keyof TimedSync, Summary>>;
  /** The calls that no such sync can do without, in sequence: writes to the database, and one read of the connector. */
  readonly bareWrites: number;
  readonly bare: Summary;
  readonly phases: readonly Phase[];
}

/** Syncs a small source over and over that never changes, as a user would by hand. */
export async function measureOverhead(bed: Bed): Promise<OverheadFigures> {
  return closeAfter(async (closing) => {
    bed.say(`syncs of ${String(RECORDS)} unchanged records`);
    const services = await startServices(bed);
    closing.push(services.stop);
    const mirror = await Mirror.create(services.client, services.exports, 'overhead', RECORDS);
    const bareSyncs = await BareSyncs.open(bed, mirror.folder);
    closing.push(() => bareSyncs.close());
    const sync = () => services.client.timedSync(mirror.connectionId);
    await repeat(WARM_UP, sync);
    await repeat(WARM_UP, () => bareSyncs.once());
    const bareMeter = meterOf(bed, [bareSyncs.connector], 'bench');
    const [syncs, bares]: [TimedSync[], number[]] = [[], []];
    for (let block = 0; block < BLOCKS; block++) {
      syncs.push(...(await services.meter.measure('unchanged syncs', BLOCK, () => repeat(BLOCK, sync))));
      const bare = () => repeat(BLOCK, () => bareSyncs.once());
      bares.push(...(await bareMeter.measure('the bare calls of a sync', BLOCK, bare)));
    }
    const moment = (name: keyof TimedSync) => summarize(syncs.map((each) => each[name]));
    return {
      records: RECORDS,
      moments: {
        answered: moment('answered'),
        started: moment('started'),
        ended: moment('ended'),
        seen: moment('seen'),
      },
      bareWrites: BARE_WRITES,
      bare: summarize(bares),
      phases: [...bareMeter.phases, ...services.meter.phases],
    };
  });
}

async function repeat<T>(times: number, work: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let i = 0; i < times; i++) results.push(await work());
  return results;
}
