import { Binary, type AnyBulkWriteOperation, type ClientSession } from 'mongodb';
import type { PlannedChange } from './commit-plan.js';
import {
  OPERATION,
  modelKey,
  recordKey,
  type CommitDocument,
  type RecordDocument,
  type StoreDatabase,
  type VersionDocument,
} from './mongo-collections.js';

/** The clock moved since the commit was planned: another commit came between, so it has to be planned again. */
export class CommitConflict extends Error {
  override readonly name = 'CommitConflict';
}

/** A planned change with what it needs of the version before. */
export interface RecordWrite {
  readonly change: PlannedChange;
  /** The newest version before this one; undefined for a record never seen. */
  readonly previous: RecordDocument | undefined;
  readonly changedFields: readonly string[];
}

/** Where and in whose name a commit writes. */
export interface CommitTarget {
  readonly uid: string;
  readonly model: string;
  readonly runId: string;
  /** In the contract's numbers of Cause. */
  readonly cause: number;
  /** The connection's sequence that the plan was made at. */
  readonly head: number;
}

/**
 * Writes changes inside a transaction: the clock first (R2), then superseded versions, records, the log entry and the
 * model's count. Sequences are `head + 1 …` in the order of `writes`. Throws CommitConflict if the head moved.
 */
export async function writeChanges(
  db: StoreDatabase,
  session: ClientSession,
  target: CommitTarget,
  writes: readonly RecordWrite[],
): Promise<{ at: Date; last: number }> {
  const last = target.head + writes.length;
  const clock = await db.clocks.findOneAndUpdate(
    { _id: target.uid, seq: target.head },
    [{ $set: { seq: last, at: { $max: [{ $add: ['$at', 1] }, '$$NOW'] } } }],
    { session, returnDocument: 'after' },
  );
  if (clock === null) throw new CommitConflict('another commit came between');
  const { at } = clock;
  const documents = writes.map((write, index) => toRecord(write, target, target.head + 1 + index, at));
  await writeVersions(db, session, writes, at);
  await writeRecords(db, session, writes, documents);
  await db.commits.insertOne(toCommit(target, writes, documents, at, last), { session });
  await countLive(db, session, target, writes);
  return { at, last };
}

/** Throws CommitConflict if the head moved; for a commit that writes no change but relies on there having been none. */
export async function requireHead(
  db: StoreDatabase,
  session: ClientSession,
  { uid, head }: CommitTarget,
): Promise<void> {
  const clock = await db.clocks.findOne({ _id: uid, seq: head }, { session, projection: { _id: 1 } });
  if (clock === null) throw new CommitConflict('another commit came between');
}

function toRecord(
  { change, changedFields }: RecordWrite,
  target: CommitTarget,
  sequence: number,
  at: Date,
): RecordDocument {
  const { observation, operation, version } = change;
  const document: RecordDocument = {
    _id: recordKey(target.uid, target.model, observation.id),
    c: target.uid,
    m: target.model,
    v: version,
    s: sequence,
    at,
    o: OPERATION[operation],
    u: target.cause,
    r: target.runId,
  };
  if (observation.payload !== undefined && operation !== 'DELETED') {
    document.f = new Binary(observation.fingerprint);
    document.p = new Binary(observation.payload);
  }
  if (changedFields.length > 0) document.x = [...changedFields];
  return document;
}

async function writeVersions(
  db: StoreDatabase,
  session: ClientSession,
  writes: readonly RecordWrite[],
  at: Date,
): Promise<void> {
  const superseded = writes.flatMap(({ previous }) =>
    previous === undefined ? [] : [toVersion(previous, at)],
  );
  if (superseded.length > 0) await db.versions.insertMany(superseded, { session });
}

function toVersion({ _id, f: _fingerprint, ...rest }: RecordDocument, until: Date): VersionDocument {
  return { _id: { k: _id, v: rest.v }, ...rest, until };
}

async function writeRecords(
  db: StoreDatabase,
  session: ClientSession,
  writes: readonly RecordWrite[],
  documents: readonly RecordDocument[],
): Promise<void> {
  const created = documents.filter((_, index) => writes[index]?.previous === undefined);
  if (created.length > 0) await db.records.insertMany(created, { session });
  const replacements = documents.flatMap((document, index): AnyBulkWriteOperation<RecordDocument>[] => {
    const previous = writes[index]?.previous;
    return previous === undefined
      ? []
      : [{ replaceOne: { filter: { _id: document._id, v: previous.v }, replacement: document } }];
  });
  if (replacements.length === 0) return;
  const result = await db.records.bulkWrite(replacements, { session });
  if (result.matchedCount !== replacements.length)
    throw new CommitConflict('a record changed since it was read');
}

function toCommit(
  target: CommitTarget,
  writes: readonly RecordWrite[],
  documents: readonly RecordDocument[],
  at: Date,
  last: number,
): CommitDocument {
  const fields = writes.flatMap(({ changedFields }, index) =>
    changedFields.length > 0 ? [[String(index), [...changedFields]] as [string, string[]]] : [],
  );
  return {
    _id: { c: target.uid, n: last },
    c: target.uid,
    f: target.head + 1,
    at,
    m: target.model,
    r: target.runId,
    u: target.cause,
    i: writes.map(({ change }) => change.observation.id),
    v: documents.map(({ v }) => v),
    o: new Binary(Uint8Array.from(documents, ({ o }) => o)),
    x: Object.fromEntries(fields),
  };
}

async function countLive(
  db: StoreDatabase,
  session: ClientSession,
  target: CommitTarget,
  writes: readonly RecordWrite[],
): Promise<void> {
  const live = writes.reduce((sum, { change }) => sum + liveDelta(change.operation), 0);
  if (live === 0) return;
  await db.models.updateOne(
    { _id: modelKey(target.uid, target.model) },
    { $inc: { live }, $setOnInsert: { c: target.uid, m: target.model } },
    { session, upsert: true },
  );
}

function liveDelta(operation: PlannedChange['operation']): number {
  if (operation === 'UPDATED') return 0;
  return operation === 'DELETED' ? -1 : 1;
}
