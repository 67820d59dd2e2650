import { createHash } from 'node:crypto';
import { TidemarkError } from '@tidemark/model';
import { isDuplicateKey } from '@tidemark/mongo';
import { Binary, type ClientSession, type Filter, type UpdateFilter } from 'mongodb';
import { NO_DISCREPANCIES } from './discrepancies.js';
import { DELTA, FULL, type Lease } from './lease.js';
import { CommitConflict } from './mongo-change-writer.js';
import {
  modelKey,
  type ClockDocument,
  type ConnectionDocument,
  type CountersDocument,
  type RunDocument,
  type StoreDatabase,
} from './mongo-collections.js';

/** A step of a run: what it was read as, and the fields that change. */
export interface RunAdvance {
  readonly run: RunDocument;
  readonly $set: Partial<RunDocument>;
  /** Whether it holds only while no other run saw a record that this snapshot may hold an older state of. */
  readonly reliesOnTouches: boolean;
}

/** Where runs stand, fenced by their leases' epochs. */
export class MongoRuns {
  constructor(readonly db: StoreDatabase) {}

  /**
   * Takes a run over under a lease: from now on every write with an older epoch is refused. A new run replaces the one
   * before of the same (connection, model, kind), and names its seen-keys until `settle`; so does one whose model has other
   * fields in scope by now, for its snapshot would be of neither. Throws LEASE_LOST.
   */
  async begin(connection: ConnectionDocument, lease: Lease): Promise<RunDocument> {
    const _id = runKey(connection._id, lease);
    const current = await this.db.runs.findOne({ _id });
    if (
      current !== null &&
      (current.epoch > lease.epoch || (current.epoch === lease.epoch && current.run !== lease.runId))
    ) {
      throw leaseLost();
    }
    if (current?.run === lease.runId && !isOutdated(current, connection, lease))
      return this.#takeOver(current, lease.epoch);
    const [clock, model] = await Promise.all([
      this.db.clocks.findOne({ _id: connection._id }),
      this.db.models.findOne({ _id: modelKey(connection._id, lease.model) }),
    ]);
    if (clock === null) throw leaseLost();
    const checkpoint = lease.kind === DELTA ? model?.deltaCheckpoint : undefined;
    const run = newRun(_id, connection, lease, clock, checkpoint);
    if (lease.kind === FULL && model?.followed) run.discrepancies = NO_DISCREPANCIES;
    if (current === null) {
      await this.#insert(run);
      return run;
    }
    run.replaced = [...current.replaced, current.seenAs];
    const result = await this.db.runs.replaceOne({ _id, epoch: current.epoch, run: current.run }, run);
    if (result.matchedCount !== 1) throw leaseLost();
    return run;
  }

  /** Nothing else changes: a commit of the owner before that has landed counts. */
  async #takeOver(current: RunDocument, epoch: number): Promise<RunDocument> {
    const { _id, run } = current;
    const taken = await this.db.runs.findOneAndUpdate(
      { _id, run, epoch: current.epoch },
      { $set: { epoch }, $inc: { readings: 1 } },
      { returnDocument: 'after' },
    );
    if (taken === null) throw leaseLost();
    return taken;
  }

  async #insert(run: RunDocument): Promise<void> {
    try {
      await this.db.runs.insertOne(run);
    } catch (error) {
      throw isDuplicateKey(error) ? leaseLost() : error;
    }
    // A removal marks the connection before it removes runs: either it found this one, or the mark is seen here.
    const connection = await this.db.connections.findOne({ _id: run.c }, { projection: { removing: 1 } });
    if (connection !== null && !connection.removing) return;
    await this.db.runs.deleteOne({ _id: run._id });
    throw leaseLost();
  }

  /** Forgets the runs replaced, once nothing of them is left. */
  async settle({ _id, seenAs }: RunDocument): Promise<void> {
    await this.db.runs.updateOne({ _id, seenAs }, { $set: { replaced: [] } });
  }

  /** The snapshot of a run's model that has not ended yet, if there is one. */
  async openSnapshot({ c, m }: RunDocument): Promise<RunDocument | null> {
    return this.db.runs.findOne({ _id: `${c}:${m}:${FULL}`, state: { $ne: 'DONE' } });
  }

  /** Counts that another run saw records unchanged while a snapshot is open. Throws CommitConflict if it moved on. */
  async touch({ _id, seenAs, touches }: RunDocument, session: ClientSession): Promise<void> {
    const result = await this.db.runs.updateOne(
      { _id, seenAs, touches, state: { $ne: 'DONE' } },
      { $inc: { touches: 1 } },
      { session },
    );
    if (result.matchedCount !== 1) throw new CommitConflict('the snapshot moved on');
  }

  /** The run that a lease may write for. Throws LEASE_LOST. */
  async get(connection: ConnectionDocument, lease: Lease): Promise<RunDocument> {
    const [run] = await this.find(connection, [lease]);
    if (run === undefined) throw leaseLost();
    return run;
  }

  /** The runs that leases may write for, in their order; undefined for a lease that is lost. */
  async find(connection: ConnectionDocument, leases: readonly Lease[]): Promise<(RunDocument | undefined)[]> {
    const keys = leases.map((lease) => runKey(connection._id, lease));
    const found = await this.db.runs.find({ _id: { $in: keys } }).toArray();
    const runs = new Map(found.map((run) => [run._id, run]));
    return leases.map(({ runId, epoch }, index) => {
      const run = runs.get(keys[index] ?? '');
      return run?.run === runId && run.epoch === epoch ? run : undefined;
    });
  }

  /**
   * Updates a run, and returns it, if it still stands as it was read: same run, epoch, state and pages, and `more` that the caller relied on. Inside a transaction this is the
   * fence of the whole commit. Throws CommitConflict: read it again to learn whether the lease is lost.
   */
  async advance(
    run: RunDocument,
    update: UpdateFilter<RunDocument>,
    session?: ClientSession,
    more: Filter<RunDocument> = {},
  ): Promise<RunDocument> {
    const { _id, epoch, state, pages, seenAs } = run;
    const after = await this.db.runs.findOneAndUpdate({ _id, seenAs, epoch, state, pages, ...more }, update, {
      returnDocument: 'after',
      ...(session ? { session } : {}),
    });
    if (after === null) throw new CommitConflict('the run moved on');
    return after;
  }

  /** Advances several runs as `advance` does one. Throws CommitConflict unless every one of them stands as it was read. */
  async advanceAll(steps: readonly RunAdvance[], session: ClientSession): Promise<void> {
    const updates = steps.map(({ run, $set, reliesOnTouches }) => {
      const { _id, epoch, state, pages, readings, seenAs, touches } = run;
      const filter = { _id, seenAs, epoch, state, pages, readings, ...(reliesOnTouches ? { touches } : {}) };
      return { updateOne: { filter, update: { $set } } };
    });
    const { matchedCount } = await this.db.runs.bulkWrite(updates, { session });
    if (matchedCount !== steps.length) throw new CommitConflict('the run moved on');
  }
}

function runKey(uid: string, lease: Lease): string {
  return `${uid}:${lease.model}:${lease.kind}`;
}

function newRun(
  _id: string,
  connection: ConnectionDocument,
  lease: Lease,
  { seq: startSequence, changes: startChanges }: ClockDocument,
  checkpoint = new Binary(new Uint8Array(0)),
): RunDocument {
  return {
    _id,
    c: connection._id,
    m: lease.model,
    kind: lease.kind,
    run: lease.runId,
    epoch: lease.epoch,
    state: 'READING',
    pages: 0,
    readings: 1,
    checkpoint,
    counters: noCounters(),
    anonymousRejections: 0,
    duplicateIds: 0,
    repeats: 0,
    touches: 0,
    lastSequence: 0,
    ownChanges: 0,
    startSequence,
    startChanges,
    fields: fieldsOf(connection, lease.model),
    seenLive: 0,
    seenAs: `${lease.model}:${lease.epoch}:${lease.runId}`,
    replaced: [],
  };
}

/** Only under a new epoch, under which nothing of the old snapshot can land any more; deletes under way go on to their end. */
function isOutdated(run: RunDocument, connection: ConnectionDocument, { epoch, model }: Lease): boolean {
  const isOpen = run.state === 'READING' || run.state === 'HELD';
  return isOpen && epoch > run.epoch && run.fields !== fieldsOf(connection, model);
}

/** Stands for the fields of a model that are in scope. */
export function fieldsOf({ scope }: ConnectionDocument, model: string): string {
  const fields = scope.models.find((candidate) => candidate.model === model)?.fields ?? [];
  return createHash('sha256')
    .update(JSON.stringify([...fields].sort()))
    .digest('base64url');
}

function noCounters(): CountersDocument {
  return { read: 0, created: 0, updated: 0, unchanged: 0, deleted: 0, quarantined: 0, stale: 0 };
}

/** The error of a writer whose lease another process took over. */
export function leaseLost(): TidemarkError {
  return new TidemarkError('LEASE_LOST', 'another process took this run over; nothing was written');
}
