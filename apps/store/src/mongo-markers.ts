import type { ClientSession } from 'mongodb';
import { FULL } from './lease.js';
import type { RunDocument, StoreDatabase } from './mongo-collections.js';

/** MarkerKind in the contract's numbers. */
const FIRST_SNAPSHOT = 1;
const SYNC_FINISHED = 2;

/** Tells watchers that a run ended, and that it was its model's first complete snapshot. */
export async function writeMarkers(
  db: StoreDatabase,
  session: ClientSession,
  run: RunDocument,
  firstSnapshot: boolean,
): Promise<void> {
  const kinds = run.kind === FULL && firstSnapshot ? [FIRST_SNAPSHOT, SYNC_FINISHED] : [SYNC_FINISHED];
  for (const kind of kinds) {
    const _id = `${run.c}:${run.run}:${kind}`;
    const marker = { c: run.c, m: run.m, r: run.run, kind, at: new Date() };
    await db.markers.updateOne({ _id }, { $setOnInsert: marker }, { session, upsert: true });
  }
}
