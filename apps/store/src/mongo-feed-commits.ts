import type { FeedChange, FeedCommit } from './change-feed.js';
import {
  numberRange,
  OPERATION,
  type CommitDocument,
  type ConnectionDocument,
  type PackDocument,
  type StoreDatabase,
} from './mongo-collections.js';
import type { MongoPacks, Payload } from './mongo-packs.js';

/** An entry of the log with all packs of its commit, as the change stream brought them. */
export interface Delivered {
  readonly entry: CommitDocument;
  readonly packs: readonly PackDocument[];
}

/**
 * Puts together what the change stream brought. Undefined for what is not whole, or may have been purged or sealed anew
 * since: then only the database says what is left of it.
 */
export function expandDelivered(
  packs: MongoPacks,
  connection: ConnectionDocument,
  { entry, packs: documents }: Delivered,
): FeedCommit | undefined {
  if (!isAsWritten(connection, entry, documents)) return undefined;
  const payloads = new Map<number, Payload>();
  for (const document of documents) {
    const pack = packs.open(connection, document);
    for (const sequence of pack.sequences) payloads.set(sequence, pack.get(sequence));
  }
  const changes = toChanges(entry, payloads);
  return changes.some(lacksPayload) ? undefined : toFeedCommit(entry, changes);
}

/** Whether nothing was taken from a commit since it was written, for a reader of the connection as it is given. */
function isAsWritten(
  { floor, payloadKeys }: ConnectionDocument,
  { i }: CommitDocument,
  packs: readonly PackDocument[],
): boolean {
  // What has no payloads does not say which scope it was written under.
  if (floor > 0 && packs.length === 0 && i.length > 0) return false;
  return packs.every((pack) => pack.g >= floor && payloadKeys.some(({ e }) => e === pack.e));
}

/** Reads the payloads of an entry of the log. Throws as `MongoPacks.lost` does when one is gone. */
export async function expandFound(
  db: StoreDatabase,
  packs: MongoPacks,
  connection: ConnectionDocument,
  entry: CommitDocument,
): Promise<FeedCommit> {
  const payloads = await readPayloads(db, packs, connection, entry);
  const changes = toChanges(entry, payloads);
  if (changes.some(lacksPayload)) throw await packs.lost(connection, entry.m);
  return toFeedCommit(entry, changes);
}

/** An entry without its changes, for watchers who do not want them. */
export function withoutChanges(entry: CommitDocument): FeedCommit {
  return toFeedCommit(entry, []);
}

async function readPayloads(
  db: StoreDatabase,
  packs: MongoPacks,
  connection: ConnectionDocument,
  { _id, c, f, i }: CommitDocument,
): Promise<Map<number, Payload>> {
  const payloads = new Map<number, Payload>();
  if (i.length === 0) return payloads;
  for await (const document of db.packs.find({ _id: numberRange(c, f - 1, _id.n) } as object)) {
    const opened = await packs.openForReading(connection, document);
    for (const sequence of opened?.pack.sequences ?? []) payloads.set(sequence, opened?.read(sequence));
  }
  return payloads;
}

function toChanges(
  { f, i, v, o, x }: CommitDocument,
  payloads: ReadonlyMap<number, Payload>,
): readonly FeedChange[] {
  return i.map((id, index) => ({
    id,
    version: v[index] ?? 0,
    sequence: f + index,
    operation: o.buffer[index] ?? 0,
    payload: payloads.get(f + index),
    changedFields: x[String(index)] ?? [],
  }));
}

function lacksPayload({ payload, operation }: FeedChange): boolean {
  return payload === undefined && operation !== OPERATION.DELETED;
}

function toFeedCommit(
  { _id, c, f, m, r, u, at, mark }: CommitDocument,
  changes: readonly FeedChange[],
): FeedCommit {
  return {
    ...{ uid: c, model: m, runId: r, cause: u, at, first: f, last: _id.n, changes, mark },
    bytes: changes.reduce((sum, { payload }) => sum + (payload?.byteLength ?? 0), 0),
  };
}
