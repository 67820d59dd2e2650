import { TidemarkError } from '@tidemark/model';
import { withTransaction } from '@tidemark/mongo';
import { Binary, type ClientSession, type UpdateFilter } from 'mongodb';
import { certify, mustHold, quarantinedTooMuch, type GuardLimits, type SnapshotEnd } from './certificate.js';
import type { KeyedMutex } from './keyed-mutex.js';
import { connectionKey, DELTA, FULL, WEBHOOK, type Lease } from './lease.js';
import { MARKER } from './marker.js';
import { CommitConflict, NO_WRITES, type MongoChangeWriter } from './mongo-change-writer.js';
import {
  modelKey,
  type ConnectionDocument,
  type DeltaCheck,
  type ModelDocument,
  type RunDocument,
  type StoreDatabase,
  type SuspectsDocument,
} from './mongo-collections.js';
import { retryConflicts } from './mongo-committer.js';
import type { MongoConnections } from './mongo-connections.js';
import type { MongoDeletePass } from './mongo-delete-pass.js';
import type { MongoLateArrivals } from './mongo-late-arrivals.js';
import { clearQuarantine } from './mongo-quarantine.js';
import { fieldsOf, type MongoRuns } from './mongo-runs.js';
import type { MongoSeenKeys } from './mongo-seen-keys.js';

/** What to do with the deletes of a certified snapshot. */
export type DeleteDecision = 'BY_GUARD' | 'APPROVED' | 'DISCARDED';

/** How a run shall end. */
export interface RunEnd extends SnapshotEnd {
  readonly deltaCheckpoint: Uint8Array;
  readonly guard: GuardLimits;
  readonly decision: DeleteDecision;
  /** Of a full run: whether deltas of the model go on as they were, to be checked for late arrivals. */
  readonly deltaCheck?: DeltaCheck;
}

const BATCHES_PER_CALL = 20;
const ABSENT = { $exists: false };

/** Ends runs: judges a snapshot, holds or makes its deletes, and tells what follows from the end. */
export class MongoFinisher {
  constructor(
    readonly db: StoreDatabase,
    readonly connections: MongoConnections,
    readonly runs: MongoRuns,
    readonly seenKeys: MongoSeenKeys,
    readonly deletes: MongoDeletePass,
    readonly arrivals: MongoLateArrivals,
    readonly writer: MongoChangeWriter,
    readonly mutex: KeyedMutex,
  ) {}

  /** Goes on with the ending; true once the run is DONE or HELD. Throws QUARANTINE_LIMIT_EXCEEDED, LEASE_LOST. */
  async finish(lease: Lease, end: RunEnd): Promise<{ done: boolean; run: RunDocument }> {
    const step = () => retryConflicts(() => this.#step(lease, end));
    for (let batches = 0; batches < BATCHES_PER_CALL; batches++) {
      const run = await this.mutex.run(connectionKey(lease), step);
      if (run.state === 'DONE' || run.state === 'HELD') return { done: true, run };
    }
    const connection = await this.connections.get(lease.tenantId, lease.connectionId);
    return { done: false, run: await this.runs.get(connection, lease) };
  }

  async #step(lease: Lease, end: RunEnd): Promise<RunDocument> {
    const connection = await this.connections.get(lease.tenantId, lease.connectionId);
    const run = await this.runs.get(connection, lease);
    switch (run.state) {
      case 'DONE':
        return run;
      case 'READING':
        return this.#closeReading(connection, run, end);
      case 'HELD':
        return this.#decide(connection, run, end);
      case 'FINISHING':
        return (
          (await this.deletes.deleteBatch(connection, run)) ??
          (await this.#complete(connection, run, {}, true))
        );
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
      return this.#complete(connection, run, $set, end.endEvidence !== '' && end.failures.length === 0);
    if (end.deltaCheck !== undefined) $set.deltaCheck = end.deltaCheck;
    const certificate = certify(run, end, run.fields === fieldsOf(connection, run.m));
    $set.certificate = certificate;
    const complete = certificate.certified && end.decision !== 'DISCARDED';
    if (!complete || (await this.deletes.holdsAll(run)))
      return this.#complete(connection, run, $set, complete);
    const { deletes, live } = await this.deletes.count(run);
    if (deletes === 0) return this.#complete(connection, run, $set, complete);
    // Approval is of deletes that were held, never of a snapshot that nobody has seen yet.
    if (mustHold(deletes, live, end.guard)) {
      return this.runs.advance(run, { $set: { ...$set, state: 'HELD', heldDeletes: deletes } });
    }
    return this.runs.advance(run, { $set: { ...$set, state: 'FINISHING' } });
  }

  async #decide(connection: ConnectionDocument, run: RunDocument, end: RunEnd): Promise<RunDocument> {
    switch (end.decision) {
      case 'BY_GUARD':
        return run;
      case 'DISCARDED':
        return this.#complete(connection, run, {}, false);
      case 'APPROVED':
        return this.runs.advance(run, { $set: { state: 'FINISHING' } });
    }
  }

  /** Ends a run with all that follows from it, in one transaction. `complete`: it saw all that its source had to tell. */
  async #complete(
    connection: ConnectionDocument,
    run: RunDocument,
    $set: Partial<RunDocument>,
    complete: boolean,
  ): Promise<RunDocument> {
    const model = await this.db.models.findOne({ _id: modelKey(run.c, run.m) });
    const after: RunDocument = { ...run, ...$set };
    const late = complete ? lateArrivals(run, model) : undefined;
    const suspects = complete ? await this.#suspects(after, model) : undefined;
    const clock = await this.db.clocks.findOne({ _id: run.c });
    const first = after.certificate?.certified === true && model?.certified !== true;
    const marks = first ? [MARKER.FIRST_SNAPSHOT, MARKER.SYNC_FINISHED] : [MARKER.SYNC_FINISHED];
    const part = { ...NO_WRITES, model: run.m, runId: run.run, cause: run.kind, marks };
    const commit = this.writer.prepare(connection, clock?.seq ?? 0, [part]);
    const done = await withTransaction(this.db.client, async (session) => {
      const since = await this.writer.write(session, commit);
      const found = suspects && { ids: suspects, since };
      await this.#markModel(after, model, modelUpdate(after, model, complete, found), session);
      const ended = { ...$set, ...(late ? { late } : {}), state: 'DONE' as const };
      return this.runs.advance(run, { $set: ended, $unset: { heldDeletes: 1 } }, session);
    });
    if (run.kind === FULL && (done.certificate?.failures.length ?? 1) === 0)
      await clearQuarantine(this.db, run);
    await this.seenKeys.drop(run);
    return done;
  }

  /** What the next delta has to bring again, unless it came late; undefined if it goes on from this run instead, as from a first one. */
  async #suspects(run: RunDocument, model: ModelDocument | null): Promise<string[] | undefined> {
    const { kind, deltaCheck } = run;
    if (kind !== FULL || deltaCheck === undefined || model?.deltaCheckpoint === undefined) return undefined;
    return this.arrivals.suspects(run, deltaCheck.deletes);
  }

  /** Notes what a model's next runs need to know. Throws CommitConflict if another run noted something meanwhile. */
  async #markModel(
    run: RunDocument,
    model: ModelDocument | null,
    update: UpdateFilter<ModelDocument>,
    session: ClientSession,
  ): Promise<void> {
    if (Object.keys(update).length === 0) return;
    const asRead = { certified: model?.certified ?? ABSENT, suspects: model?.suspects ?? ABSENT };
    const result = await this.db.models.updateOne(
      { _id: modelKey(run.c, run.m), ...(model === null ? {} : asRead) },
      { ...update, $setOnInsert: { c: run.c, m: run.m, live: 0 } },
      { session, upsert: model === null },
    );
    if (model !== null && result.matchedCount !== 1) throw new CommitConflict('the model moved on');
  }
}

/** Whether a run is the delta that a full run before it left to be checked: one that began after that had ended. */
function isChecked({ kind, startSequence }: RunDocument, model: ModelDocument | null): boolean {
  return kind === DELTA && model?.suspects !== undefined && startSequence > model.suspects.since;
}

/** What a complete run should have brought; undefined unless it is checked. */
function lateArrivals(run: RunDocument, model: ModelDocument | null): string[] | undefined {
  return isChecked(run, model) ? model?.suspects?.ids : undefined;
}

/** What a run's end changes in its model. `suspects`: for the delta after a full run that leaves deltas as they were. */
function modelUpdate(
  run: RunDocument,
  model: ModelDocument | null,
  complete: boolean,
  suspects: SuspectsDocument | undefined,
): UpdateFilter<ModelDocument> {
  const $set: Partial<ModelDocument> = suspects === undefined ? {} : { suspects };
  if (run.certificate?.certified === true && model?.certified !== true) $set.certified = true;
  // A delta starts where nothing before is missing (R10); better from an incomplete full sync than from nowhere.
  const starts =
    run.kind === FULL
      ? (complete && suspects === undefined) || model?.deltaCheckpoint === undefined
      : run.kind === DELTA && complete;
  if (starts && run.deltaCheckpoint !== undefined) $set.deltaCheckpoint = run.deltaCheckpoint;
  if (complete && (run.kind === DELTA || run.kind === WEBHOOK)) $set.followed = true;
  const forgets =
    run.kind === FULL ? starts && model?.suspects !== undefined : complete && isChecked(run, model);
  return {
    ...(Object.keys($set).length > 0 ? { $set } : {}),
    ...(forgets ? { $unset: { suspects: 1 } } : {}),
  };
}
