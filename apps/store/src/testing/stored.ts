import type { StoreDatabase } from '../mongo-collections.js';

/** All that is stored but for markers: what they tell of is no change. */
export async function dump({ records, versions, packs, commits, clocks }: StoreDatabase): Promise<unknown> {
  const stored = await Promise.all(
    [records, versions, packs, commits].map((collection) =>
      collection
        .find({ mark: { $exists: false } } as never)
        .sort({ _id: 1 })
        .toArray(),
    ),
  );
  const changes = await clocks
    .find({}, { projection: { changes: 1 } })
    .sort({ _id: 1 })
    .toArray();
  return [...stored, changes];
}
