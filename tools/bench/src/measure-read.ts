import { Mirror, type Services } from './mirror.js';
import type { Meter } from './meter.js';
import { median } from './statistics.js';
import { editedHereAndThere, editedInOnePlace, type SourceState } from './workload.js';

const CHANGES = 1_000;
const SMALL_RECORDS = 10_000;
const REPEATS = 7;

/** Reads of everything: medians. */
export interface FullRead {
  readonly seconds: number;
  /** With every payload parsed by the reader. */
  readonly parsedSeconds: number;
  readonly firstPageMs: number;
}

/** How long a read of the same number of changes takes, in ms, in the large connection and in a small one: medians. */
export interface ChangeRead {
  readonly records: number;
  readonly largeMs: number;
  readonly smallMs: number;
}

/** Reads of changes that lie apart in the source, and of changes that follow each other. */
export interface ChangeReads {
  readonly smallRecords: number;
  readonly scattered: ChangeRead;
  readonly clustered: ChangeRead;
}

/** Reads everything three times, and once more with payloads parsed. */
export async function measureFullRead(meter: Meter, mirror: Mirror, records: number): Promise<FullRead> {
  const reads = [];
  for (let i = 0; i < 3; i++) reads.push(await meter.measure('full read', records, () => mirror.read()));
  const parsed = await meter.measure('full read, parsed', records, () => mirror.read(undefined, true));
  for (const read of [...reads, parsed])
    if (read.records !== records)
      throw new Error(`${String(read.records)} of ${String(records)} records were read`);
  return {
    seconds: median(reads.map(({ seconds }) => seconds)),
    parsedSeconds: parsed.seconds,
    firstPageMs: Math.round(median(reads.map(({ firstPageMs }) => firstPageMs))),
  };
}

/** Changes 1,000 records in the connection and in a small one, the same way, and reads just those. */
export async function measureChanges(
  { client, exports, meter }: Services,
  large: Mirror,
): Promise<ChangeReads> {
  const small = await Mirror.create(client, exports, 'bench-small', SMALL_RECORDS);
  await small.sync();
  const compare = async (name: string, next: (state: SourceState) => SourceState): Promise<ChangeRead> => {
    const inLarge = await change(large, next);
    const inSmall = await change(small, next);
    const of = (result: Timed) => result.records * REPEATS;
    const [largeRead, smallRead] = [
      await meter.measure(`read of ${name} changes`, of, () => readChanges(large, inLarge)),
      await meter.measure(`  the same among ${String(SMALL_RECORDS)}: ${name}`, of, () =>
        readChanges(small, inSmall),
      ),
    ];
    if (largeRead.records !== smallRead.records)
      throw new Error(
        `${String(largeRead.records)} changes were read in the large connection, ${String(smallRead.records)} in the small`,
      );
    return { records: largeRead.records, largeMs: largeRead.ms, smallMs: smallRead.ms };
  };
  return {
    smallRecords: SMALL_RECORDS,
    scattered: await compare('scattered', (state) => editedHereAndThere(state, CHANGES)),
    clustered: await compare('clustered', (state) => editedInOnePlace(state, CHANGES)),
  };
}

interface Timed {
  readonly records: number;
  readonly ms: number;
}

/** Changes the source and syncs; gives back the moment after which the changes lie. */
async function change(mirror: Mirror, next: (state: SourceState) => SourceState): Promise<Date> {
  const before = await mirror.completeThrough();
  await mirror.become(next);
  await mirror.sync();
  return before;
}

async function readChanges(mirror: Mirror, updatedAfter: Date): Promise<Timed> {
  const reads = [];
  for (let i = 0; i < REPEATS; i++) reads.push(await mirror.read(updatedAfter));
  const ms = Math.round(median(reads.map(({ seconds }) => seconds * 1_000)) * 10) / 10;
  return { records: reads[0]?.records ?? 0, ms };
}
