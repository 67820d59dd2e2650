import { TidemarkError } from '@tidemark/model';
import { withTransaction } from '@tidemark/mongo';
import { Binary, type ClientSession, type UpdateFilter } from 'mongodb';
import { certify, mustHold, quarantinedTooMuch, type GuardLimits, type SnapshotEnd } from './certificate.js';
import type { KeyedMutex } from './keyed-mutex.js';
import { connectionKey, DELTA, FULL, type Lease } from './lease.js';
import { writeChanges, type RecordWrite } from './mongo-change-writer.js';
import {
  idOfKey,
  modelKey,
  OPERATION,
  recordKey,
  recordKeys,
  type ConnectionDocument,
  type ModelDocument,
  type RunDocument,
  type StoreDatabase,
} from './mongo-collections.js';
import { readPrevious, retryConflicts } from './mongo-committer.js';
import type { MongoConnections } from './mongo-connections.js';
import { writeMarkers } from './mongo-markers.js';
import { clearQuarantine } from './mongo-quarantine.js';
import type { MongoRuns } from './mongo-runs.js';
import type { MongoSeenKeys } from './mongo-seen-keys.js';

/** What to do with the deletes of a certified snapshot. */
export type DeleteDecision = 'BY_GUARD' | 'APPROVED' | 'DISCARDED';

/** How a run shall end. */
export interface RunEnd extends SnapshotEnd {
  readonly deltaCheckpoint: Uint8Array;
  readonly guard: GuardLimits;
  readonly decision: DeleteDecision;
}

const DELETE_BATCH = 500;
const BATCHES_PER_CALL = 20;
const SCAN_BATCH = 5_000;

/**
 * Ends runs. A certified snapshot deletes the records that it did not hold and nobody touched since it began (P4, R11):
 * in order of key, a batch a commit, resumable from the run's `deletePosition`.
 */
export class MongoFinisher {
  constructor(
    readonly db: StoreDatabase,
    readonly connections: MongoConnections,
    readonly runs: MongoRuns,
    readonly seenKeys: MongoSeenKeys,
    readonly mutex: KeyedMutex,
  ) {}

  /** Goes on with the ending; true once the run is DONE or HELD. Throws QUARANTINE_LIMIT_EXCEEDED, LEASE_LOST. */
  async finish(lease: Lease, end: RunEnd): Promise<{ done: boolean; run: RunDocument }> {
    const connection = await this.connections.get(lease.tenantId, lease.connectionId);
    const step = () => retryConflicts(() => this.#step(connection, lease, end));
    for (let batches = 0; batches < BATCHES_PER_CALL; batches++) {
      const run = await this.mutex.run(connectionKey(lease), step);
      if (run.state === 'DONE' || run.state === 'HELD') return { done: true, run };
    }
    return { done: false, run: await this.runs.get(connection, lease) };
  }

  async #step(connection: ConnectionDocument, lease: Lease, end: RunEnd): Promise<RunDocument> {
    const run = await this.runs.get(connection, lease);
    switch (run.state) {
      case 'DONE':
        return run;
      case 'READING':
        return this.#closeReading(connection, run, end);
      case 'HELD':
        return this.#decide(run, end);
      case 'FINISHING':
        return this.#deleteBatch(run);
    }
  }

  async #closeReading(connection: ConnectionDocument, run: RunDocument, end: RunEnd): Promise<RunDocument> {
    if (quarantinedTooMuch(run.counters, end.guard)) {
      const message = `${run.counters.quarantined} of ${run.counters.read} records could not be stored; see \`tidemark quarantine list\``;
      throw new TidemarkError('QUARANTINE_LIMIT_EXCEEDED', message);
    }
    const $set: Partial<RunDocument> = {};
    if (end.deltaCheckpoint.byteLength > 0) $set.deltaCheckpoint = new Binary(end.deltaCheckpoint);
    if (run.kind !== FULL)
      return this.#complete(run, $set, end.endEvidence !== '' && end.failures.length === 0);
    const current = await this.connections.get(connection.tenant, connection.name);
    const certificate = certify(run, end, current.scope.revision);
    $set.certificate = certificate;
    const complete = certificate.certified && end.decision !== 'DISCARDED';
    if (!complete || (await this.#holdsAll(run))) return this.#complete(run, $set, complete);
    const { deletes, live } = await this.#countDeletes(run);
    if (deletes === 0) return this.#complete(run, $set, complete);
    // Approval is of deletes that were held, never of a snapshot that nobody has seen yet.
    if (mustHold(deletes, live, end.guard)) {
      return this.runs.advance(run, { $set: { ...$set, state: 'HELD', heldDeletes: deletes } });
    }
    return this.runs.advance(run, { $set: { ...$set, state: 'FINISHING' } });
  }

  async #decide(run: RunDocument, end: RunEnd): Promise<RunDocument> {
    switch (end.decision) {
      case 'BY_GUARD':
        return run;
      case 'DISCARDED':
        return this.#complete(run, {}, false);
      case 'APPROVED':
        return this.runs.advance(run, { $set: { state: 'FINISHING' } });
    }
  }

  /**
   * Whether the counts alone prove that nothing is to be deleted: no one else committed since the snapshot began, and as
   * many records are live as the snapshot held. Spares an unchanged snapshot the scan of its model.
   */
  async #holdsAll(run: RunDocument): Promise<boolean> {
    const [clock, model] = await Promise.all([
      this.db.clocks.findOne({ _id: run.c }),
      this.db.models.findOne({ _id: modelKey(run.c, run.m) }),
    ]);
    const undisturbed = clock?.seq === run.startSequence + run.ownSequences;
    return undisturbed && (model?.live ?? 0) === run.seenLive;
  }

  async #countDeletes(run: RunDocument): Promise<{ deletes: number; live: number }> {
    let deletes = 0;
    for await (const ids of this.#absentIds(run)) deletes += ids.length;
    const model = await this.db.models.findOne({ _id: modelKey(run.c, run.m) });
    return { deletes, live: model?.live ?? 0 };
  }

  async #deleteBatch(run: RunDocument): Promise<RunDocument> {
    const clock = await this.db.clocks.findOne({ _id: run.c });
    const ids = await first(this.#absentIds(run, DELETE_BATCH));
    if (clock === null || ids === undefined) return this.#complete(run, {}, true);
    const previous = await readPrevious(this.db, run.c, run.m, ids);
    const writes = ids.flatMap((id): RecordWrite[] => {
      const before = previous.get(id);
      return before && isCandidate(before, run) ? [toDelete(id, before)] : [];
    });
    const target = { uid: run.c, model: run.m, runId: run.run, cause: run.kind, head: clock.seq };
    const update: UpdateFilter<RunDocument> = {
      $set: {
        deletePosition: recordKey(run.c, run.m, ids.at(-1) ?? ''),
        ...(writes.length > 0 ? { lastSequence: clock.seq + writes.length } : {}),
      },
      $inc: { 'counters.deleted': writes.length, ownSequences: writes.length },
    };
    return withTransaction(this.db.client, async (session) => {
      if (writes.length > 0) await writeChanges(this.db, session, target, writes);
      return this.runs.advance(run, update, session, { touches: run.touches });
    });
  }

  /** Ids of live records that the snapshot did not hold and nobody touched or saw since it began, in order, in batches. */
  async *#absentIds(run: RunDocument, batchSize = SCAN_BATCH): AsyncGenerator<string[], undefined> {
    const [seen, touched] = [await this.seenKeys.load(run), await this.seenKeys.touched(run)];
    const { $gt, $lt } = recordKeys(run.c, run.m);
    const range = { $gt: run.deletePosition ?? $gt, $lt };
    const cursor = this.db.records
      .find({ _id: range }, { projection: { s: 1, o: 1 }, batchSize: SCAN_BATCH })
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

  /** Ends a run with all that follows from it, in one transaction. `complete`: it saw all that its source had to tell. */
  async #complete(run: RunDocument, $set: Partial<RunDocument>, complete: boolean): Promise<RunDocument> {
    const after = { ...run, ...$set };
    const done = await withTransaction(this.db.client, async (session) => {
      const ended = await this.runs.advance(
        run,
        { $set: { ...$set, state: 'DONE' }, $unset: { heldDeletes: 1 } },
        session,
      );
      const first = await this.#markModel(after, complete, session);
      await writeMarkers(this.db, session, run, first);
      return ended;
    });
    if (run.kind === FULL && (done.certificate?.failures.length ?? 1) === 0)
      await clearQuarantine(this.db, run);
    await this.seenKeys.drop(run);
    return done;
  }

  /** Notes what a model's next runs need to know; returns whether this was its first certified snapshot. */
  async #markModel(run: RunDocument, complete: boolean, session: ClientSession): Promise<boolean> {
    const _id = modelKey(run.c, run.m);
    const model = await this.db.models.findOne({ _id }, { session });
    const $set: Partial<ModelDocument> = {};
    const first = run.certificate?.certified === true && model?.certified !== true;
    if (first) $set.certified = true;
    // A delta starts where nothing before is missing (R10); better from an incomplete full sync than from nowhere.
    const starts =
      run.kind === FULL ? complete || model?.deltaCheckpoint === undefined : run.kind === DELTA && complete;
    if (starts && run.deltaCheckpoint !== undefined) $set.deltaCheckpoint = run.deltaCheckpoint;
    if (Object.keys($set).length > 0) {
      await this.db.models.updateOne(
        { _id },
        { $set, $setOnInsert: { c: run.c, m: run.m, live: 0 } },
        { session, upsert: true },
      );
    }
    return first;
  }
}

async function first<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of items) return item;
  return undefined;
}

function isCandidate(record: { s: number; o: number }, run: RunDocument): boolean {
  return record.o !== OPERATION.DELETED && record.s <= run.startSequence;
}

function toDelete(id: string, previous: RecordWrite['previous'] & object): RecordWrite {
  const observation = { id, fingerprint: new Uint8Array(0), payload: undefined, deleted: true };
  return {
    change: { observation, operation: 'DELETED', version: previous.v + 1 },
    previous,
    changedFields: [],
  };
}
