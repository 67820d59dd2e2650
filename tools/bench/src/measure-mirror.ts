import { closeAfter, type Bed } from './bed.js';
import { Mirror, startServices, type Services } from './mirror.js';
import { databaseSize, type DatabaseSize } from './mongo-size.js';
import { measureRaw, type RawResult } from './raw-process.js';
import { measureChanges, measureFullRead, type ChangeReads, type FullRead } from './measure-read.js';
import type { Phase } from './meter.js';
import type { Section } from './options.js';
import { median } from './statistics.js';
import { churned, edited } from './workload.js';

/** Seconds of syncs. */
export interface SyncSeconds {
  readonly first: number;
  /** The same again. */
  readonly identical: number;
  /** With 2 % of it changed, and how the changes read. */
  readonly churned: number;
  /** With every record changed. */
  readonly edited: number;
}

/** What mirroring a source through every service came to. */
export interface MirrorFigures {
  readonly raw: { readonly insert: number; readonly scan: number };
  readonly sync?: SyncSeconds;
  readonly read?: FullRead & { readonly changes: ChangeReads };
  readonly size?: {
    readonly raw: DatabaseSize;
    readonly afterFirstSync: DatabaseSize;
    readonly afterEditedSync: DatabaseSize;
  };
  readonly peakMemoryMb: Readonly<Record<string, number | undefined>>;
  readonly phases: readonly Phase[];
}

const STORE_DATABASE = 'tidemark_store';

/** Syncs and reads, each beside the plain driver doing the like on the same mongod, before and after. */
export async function measureMirror(
  bed: Bed,
  records: number,
  sections: ReadonlySet<Section>,
): Promise<MirrorFigures> {
  return closeAfter(async (closing) => {
    const services = await startServices(bed);
    closing.push(services.stop);
    const { say } = bed;
    say(`writing ${String(records)} employees`);
    const mirror = await Mirror.create(services.client, services.exports, 'bench', records);
    say('raw ceiling');
    const raws = [await measureRaw(bed, mirror.file, records)];
    say('first sync');
    const first = await services.meter.measure('first sync', records, () => mirror.sync());
    const afterFirstSync = await sizeIf(bed, sections);
    const identical = sections.has('sync') ? await measureIdentical(bed, services, mirror, records) : NaN;
    const read = sections.has('read') ? await measureReads(bed, services, mirror, records) : undefined;
    const later = sections.has('sync') ? await measureChurned(bed, services, mirror, records) : NaN;
    const all =
      sections.has('sync') || sections.has('size')
        ? await measureEdited(bed, services, mirror, records)
        : NaN;
    const afterEditedSync = await sizeIf(bed, sections);
    say('raw ceiling again');
    raws.push(await measureRaw(bed, mirror.file, records));
    const sync = { first, identical, churned: later, edited: all };
    const [raw] = raws;
    return {
      raw: {
        insert: median(raws.map(({ insert }) => insert)),
        scan: median(raws.map(({ scan }) => scan)),
      },
      ...(sections.has('sync') ? { sync } : {}),
      ...(read ? { read } : {}),
      ...(raw && afterFirstSync && afterEditedSync
        ? { size: { raw: raw.size, afterFirstSync, afterEditedSync } }
        : {}),
      peakMemoryMb: await services.peaks(),
      phases: [...rawPhases(raws), ...services.meter.phases],
    };
  });
}

async function sizeIf(bed: Bed, sections: ReadonlySet<Section>): Promise<DatabaseSize | undefined> {
  return sections.has('size') ? databaseSize(bed.mongo.uri, STORE_DATABASE) : undefined;
}

async function measureIdentical(
  { say }: Bed,
  { meter }: Services,
  mirror: Mirror,
  records: number,
): Promise<number> {
  say('identical re-sync');
  const again = () => meter.measure('identical re-sync', records, () => mirror.sync());
  return median([await again(), await again()]);
}

async function measureReads(bed: Bed, services: Services, mirror: Mirror, records: number) {
  bed.say('full read');
  const full = await measureFullRead(services.meter, mirror, records);
  bed.say('reads of 1,000 changes');
  return { ...full, changes: await measureChanges(services, mirror) };
}

async function measureChurned(
  { say }: Bed,
  { meter }: Services,
  mirror: Mirror,
  records: number,
): Promise<number> {
  say('re-sync, 2 % of it changed');
  await mirror.become(churned);
  return meter.measure('re-sync, 2 % changed', records, () => mirror.sync());
}

async function measureEdited(
  { say }: Bed,
  { meter }: Services,
  mirror: Mirror,
  records: number,
): Promise<number> {
  say('re-sync, every record changed');
  await mirror.become(edited);
  return meter.measure('re-sync, all changed', records, () => mirror.sync());
}

/** The first measurement's phases stand for both. */
function rawPhases(raws: readonly RawResult[]): readonly Phase[] {
  return raws[0]?.phases ?? [];
}
