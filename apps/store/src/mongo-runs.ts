import { TidemarkError } from '@tidemark/model';
import { isDuplicateKey } from '@tidemark/mongo';
import { Binary, type ClientSession, type UpdateFilter } from 'mongodb';
import type { Lease } from './lease.js';
import { CommitConflict } from './mongo-change-writer.js';
import type { ConnectionDocument, CountersDocument, RunDocument, StoreDatabase } from './mongo-collections.js';

/** Where runs stand, fenced by their leases' epochs. */
export class MongoRuns {
  constructor(readonly db: StoreDatabase) {}

  /**
   * Takes a run over under a lease: from now on every write with an older epoch is refused. A new run replaces the one
   * before of the same (connection, model, kind). Returns the run and the id of the one replaced. Throws LEASE_LOST.
   */
  async begin(connection: ConnectionDocument, lease: Lease): Promise<{ run: RunDocument; replaced?: string }> {
    const _id = runKey(connection._id, lease);
    const current = await this.db.runs.findOne({ _id });
    if (current !== null && (current.epoch > lease.epoch || (current.epoch === lease.epoch && current.run !== lease.runId))) {
      throw leaseLost();
    }
    if (current?.run === lease.runId) return { run: await this.#takeOver(current, lease.epoch) };
    const clock = await this.db.clocks.findOne({ _id: connection._id });
    if (clock === null) throw leaseLost();
    const run = newRun(_id, connection, lease, clock.seq, current);
    if (current === null) {
      await this.#insert(run);
      return { run };
    }
    const result = await this.db.runs.replaceOne({ _id, epoch: current.epoch, run: current.run }, run);
    if (result.matchedCount !== 1) throw leaseLost();
    return { run, replaced: current.run };
  }

  /** Only the epoch changes: a commit of the owner before may still be landing, and it counts. */
  async #takeOver(current: RunDocument, epoch: number): Promise<RunDocument> {
    const { _id, run } = current;
    const taken = await this.db.runs.findOneAndUpdate(
      { _id, run, epoch: current.epoch },
      { $set: { epoch } },
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
  }

  /** The run that a lease may write for. Throws LEASE_LOST. */
  async get(connection: ConnectionDocument, lease: Lease): Promise<RunDocument> {
    const run = await this.db.runs.findOne({ _id: runKey(connection._id, lease) });
    if (run === null || run.run !== lease.runId || run.epoch !== lease.epoch) throw leaseLost();
    return run;
  }

  /**
   * Updates a run, and returns it, if it still stands as it was read: same run, epoch, state and pages. Inside a transaction this is the
   * fence of the whole commit. Throws CommitConflict: read it again to learn whether the lease is lost.
   */
  async advance(run: RunDocument, update: UpdateFilter<RunDocument>, session?: ClientSession): Promise<RunDocument> {
    const { _id, epoch, state, pages } = run;
    const after = await this.db.runs.findOneAndUpdate({ _id, run: run.run, epoch, state, pages }, update, {
      returnDocument: 'after',
      ...(session ? { session } : {}),
    });
    if (after === null) throw new CommitConflict('the run moved on');
    return after;
  }
}

function runKey(uid: string, lease: Lease): string {
  return `${uid}:${lease.model}:${lease.kind}`;
}

function newRun(
  _id: string,
  connection: ConnectionDocument,
  lease: Lease,
  startSequence: number,
  before: RunDocument | null,
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
    checkpoint: before?.deltaCheckpoint ?? new Binary(new Uint8Array(0)),
    counters: noCounters(),
    anonymousRejections: 0,
    duplicateIds: 0,
    lastSequence: 0,
    ownSequences: 0,
    startSequence,
    scopeRevision: connection.scope.revision,
    seenLive: 0,
    ...(before?.deltaCheckpoint ? { deltaCheckpoint: before.deltaCheckpoint } : {}),
  };
}

function noCounters(): CountersDocument {
  return { read: 0, created: 0, updated: 0, unchanged: 0, deleted: 0, quarantined: 0, stale: 0 };
}

/** The error of a writer whose lease another process took over. */
export function leaseLost(): TidemarkError {
  return new TidemarkError('LEASE_LOST', 'another process took this run over; nothing was written');
}
