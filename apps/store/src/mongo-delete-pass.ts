import { withTransaction } from '@tidemark/mongo';
import type { UpdateFilter } from 'mongodb';
import { addDiscrepancies } from './discrepancies.js';
import { NO_WRITES, type MongoChangeWriter, type RecordWrite } from './mongo-change-writer.js';
import {
  idOfKey,
  modelKey,
  OPERATION,
  recordKey,
  recordKeys,
  type ConnectionDocument,
  type RunDocument,
  type StoreDatabase,
} from './mongo-collections.js';
import { readRecords } from './mongo-page-planner.js';
import type { MongoRuns } from './mongo-runs.js';
import type { MongoSeenKeys } from './mongo-seen-keys.js';

const DELETE_BATCH = 500;
const SCAN_BATCH = 5_000;

/**
 * Deletes the records that a certified snapshot did not hold and nobody touched since it began (P4, R11): in order of key,
 * a batch a commit, resumable from the run's `deletePosition`.
 */
export class MongoDeletePass {
  constructor(
    readonly db: StoreDatabase,
    readonly runs: MongoRuns,
    readonly seenKeys: MongoSeenKeys,
    readonly writer: MongoChangeWriter,
  ) {}

  /**
   * Whether the counts alone prove that nothing is to be deleted: no one else committed since the snapshot began, and as
   * many records are live as the snapshot held. Spares an unchanged snapshot the scan of its model.
   */
  async holdsAll(run: RunDocument): Promise<boolean> {
    const [clock, model] = await Promise.all([
      this.db.clocks.findOne({ _id: run.c }),
      this.db.models.findOne({ _id: modelKey(run.c, run.m) }),
    ]);
    const undisturbed = clock?.changes === run.startChanges + run.ownChanges;
    return undisturbed && (model?.live ?? 0) === run.seenLive;
  }

  /** How many records would be deleted, and of how many. */
  async count(run: RunDocument): Promise<{ deletes: number; live: number }> {
    let deletes = 0;
    for await (const ids of this.#absentIds(run)) deletes += ids.length;
    const model = await this.db.models.findOne({ _id: modelKey(run.c, run.m) });
    return { deletes, live: model?.live ?? 0 };
  }

  /** Deletes a batch; undefined if nothing is left to delete. Throws CommitConflict. */
  async deleteBatch(connection: ConnectionDocument, run: RunDocument): Promise<RunDocument | undefined> {
    const clock = await this.db.clocks.findOne({ _id: run.c });
    const ids = await first(this.#absentIds(run, DELETE_BATCH));
    if (clock === null || ids === undefined) return undefined;
    const keyOf = (id: string): string => recordKey(run.c, run.m, id);
    const previous = await readRecords(this.db, ids.map(keyOf));
    const writes = ids.flatMap((id): RecordWrite[] => {
      const before = previous.get(keyOf(id));
      return before && isCandidate(before, run) ? [toDelete(id, before)] : [];
    });
    const part = { ...NO_WRITES, model: run.m, runId: run.run, cause: run.kind, writes, reliesOn: ids };
    const commit = this.writer.prepare(connection, clock.seq, [part]);
    return withTransaction(this.db.client, async (session) => {
      const before = await this.writer.write(session, commit);
      const update = deleteUpdate(run, ids, writes, before);
      return this.runs.advance(run, update, session, { touches: run.touches });
    });
  }

  /** Ids of live records that the snapshot did not hold and nobody touched or saw since it began, in order, in batches. */
  async *#absentIds(run: RunDocument, batchSize = SCAN_BATCH): AsyncGenerator<string[], undefined> {
    const [seen, touched] = [await this.seenKeys.load(run), await this.seenKeys.touched(run)];
    const { $gt, $lt } = recordKeys(run.c, run.m);
    const range = { $gt: run.deletePosition ?? $gt, $lt };
    const cursor = this.db.records
      .find({ _id: range }, { projection: { s: 1, os: 1, o: 1 }, batchSize: SCAN_BATCH })
      .sort({ _id: 1 });
    let batch: string[] = [];
    for await (const record of cursor) {
      const id = idOfKey(record._id, run.m, run.c);
      if (!isCandidate(record, run) || seen.held(id) || touched.held(id)) continue;
      batch.push(id);
      if (batch.length < batchSize) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
    return undefined;
  }
}

function deleteUpdate(
  run: RunDocument,
  ids: readonly string[],
  writes: readonly RecordWrite[],
  before: number,
): UpdateFilter<RunDocument> {
  return {
    $set: {
      deletePosition: recordKey(run.c, run.m, ids.at(-1) ?? ''),
      ...(writes.length > 0 ? { lastSequence: before + writes.length } : {}),
      ...(run.discrepancies ? { discrepancies: addDiscrepancies(run.discrepancies, writes) } : {}),
    },
    $inc: { 'counters.deleted': writes.length, ownChanges: writes.length },
  };
}

async function first<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of items) return item;
  return undefined;
}

function isCandidate({ s, os, o }: { s: number; os?: number; o: number }, run: RunDocument): boolean {
  return o !== OPERATION.DELETED && (os ?? s) <= run.startSequence;
}

function toDelete(id: string, previous: RecordWrite['previous'] & object): RecordWrite {
  const observation = { id, fingerprint: new Uint8Array(0), payload: undefined, deleted: true };
  return {
    change: { observation, operation: 'DELETED', version: previous.v + 1 },
    previous,
    changedFields: [],
    hashes: [],
  };
}
