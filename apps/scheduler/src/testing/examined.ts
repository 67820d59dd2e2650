import type { ControlDatabase } from '../mongo-collections.js';

/** How many documents the database looked at in one collection while something was done. */
export async function examined(
  { db }: ControlDatabase,
  collection: string,
  work: () => Promise<unknown>,
): Promise<number> {
  await db.command({ profile: 2, slowms: 0 });
  try {
    await work();
  } finally {
    await db.command({ profile: 0 });
  }
  const ns = `${db.databaseName}.${collection}`;
  const profile = db.collection('system.profile');
  // What a change stream reads is no query.
  const filter = { ns, docsExamined: { $exists: true }, op: { $ne: 'getmore' } };
  const seen = await profile.find(filter).toArray();
  await profile.drop();
  return seen.reduce((sum, { docsExamined }) => sum + Number(docsExamined), 0);
}
