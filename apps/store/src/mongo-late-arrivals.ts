import { idOfKey, modelKey, OPERATION, type RunDocument, type StoreDatabase } from './mongo-collections.js';
import type { MongoSeenKeys } from './mongo-seen-keys.js';

/** A sample is enough to see that changes come late. */
const MAX_SUSPECTS = 200;
/** A full sync that changed more tells of something else than late arrivals. */
const MOST_CHANGES = 10_000;

/**
 * Finds late arrivals (R10): changes that a source gives out only after the deltas have passed the time that it says they are of.
 * A full sync finds them, but among what changed just now, too. So the deltas go on from where they were, not from where the full
 * sync began, and what it changed is suspected: what the next delta or webhook does not bring again came too late for them.
 */
export class MongoLateArrivals {
  constructor(
    readonly db: StoreDatabase,
    readonly seenKeys: MongoSeenKeys,
  ) {}

  /** Ids of records that a full run changed, or with `deletes` deleted, too, and no other run saw since it began. */
  async suspects(run: RunDocument, deletes: boolean): Promise<string[]> {
    if (run.ownChanges > MOST_CHANGES) return [];
    const touched = await this.seenKeys.touched(run);
    const cursor = this.db.records
      .find({ c: run.c, m: run.m, s: { $gt: run.startSequence } }, { projection: { r: 1, o: 1 } })
      .limit(MOST_CHANGES);
    const ids: string[] = [];
    for await (const { _id, r, o } of cursor) {
      const id = idOfKey(_id, run.m, run.c);
      if (r !== run.run || (o === OPERATION.DELETED && !deletes) || touched.held(id)) continue;
      if (ids.push(id) === MAX_SUSPECTS) break;
    }
    return ids;
  }

  /** Takes what a delta or webhook brings off the suspects. Whether its page is committed in the end does not matter: the source told. */
  async brought(run: Pick<RunDocument, 'c' | 'm'>, ids: readonly string[]): Promise<void> {
    const _id = modelKey(run.c, run.m);
    const filter = { _id, 'suspects.ids.0': { $exists: true } };
    if ((await this.db.models.findOne(filter, { projection: { _id: 1 } })) === null) return;
    await this.db.models.updateOne(filter, { $pull: { 'suspects.ids': { $in: [...ids] } } });
  }
}
