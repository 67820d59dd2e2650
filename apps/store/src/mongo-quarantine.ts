import type { ClientSession } from 'mongodb';
import type { Rejection } from './commit-plan.js';
import {
  modelPrefix,
  type QuarantineDocument,
  type RunDocument,
  type StoreDatabase,
} from './mongo-collections.js';

/** Writes a page's rejected records, each under its id or, where that is unknown, its position. */
export async function writeQuarantine(
  db: StoreDatabase,
  session: ClientSession,
  run: RunDocument,
  rejections: readonly Rejection[],
): Promise<void> {
  if (rejections.length === 0) return;
  const at = new Date();
  const documents = rejections.map((rejection): QuarantineDocument => {
    const key = rejection.id === undefined ? `@${rejection.position}` : `=${rejection.id}`;
    return {
      _id: `${modelPrefix(run.c, run.m)}${key}`,
      c: run.c,
      m: run.m,
      ...(rejection.id === undefined ? {} : { i: rejection.id }),
      position: rejection.position,
      reason: rejection.reason,
      message: rejection.message,
      r: run.run,
      at,
    };
  });
  await db.quarantine.bulkWrite(
    documents.map((document) => ({
      replaceOne: { filter: { _id: document._id }, replacement: document, upsert: true },
    })),
    { session },
  );
}

/** Removes what runs before a complete snapshot left in quarantine and the snapshot did not meet again. */
export async function clearQuarantine(db: StoreDatabase, run: RunDocument): Promise<void> {
  await db.quarantine.deleteMany({ c: run.c, m: run.m, r: { $ne: run.run } });
}

/** A page of a connection's quarantine, in order of key; the token is the last key. */
export async function listQuarantine(
  db: StoreDatabase,
  uid: string,
  limit: number,
  after: string | undefined,
): Promise<QuarantineDocument[]> {
  const from = after === undefined ? {} : { _id: { $gt: after } };
  return db.quarantine
    .find({ c: uid, ...from })
    .sort({ _id: 1 })
    .limit(limit)
    .toArray();
}
