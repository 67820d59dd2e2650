import { changedFields, TidemarkError } from '@tidemark/model';
import { withTransaction } from '@tidemark/mongo';
import type { ClientSession } from 'mongodb';
import { checkBounds, parsePayload, verifyPayloads, type CommitPage } from './commit-page.js';
import { planCommit, type Observation, type PlannedChange, type StoredState } from './commit-plan.js';
import type { KeyedMutex } from './keyed-mutex.js';
import { connectionKey, FULL, type Lease } from './lease.js';
import { CommitConflict, requireHead, writeChanges, type RecordWrite } from './mongo-change-writer.js';
import {
  OPERATION,
  idOfKey,
  recordKey,
  type ConnectionDocument,
  type RecordDocument,
  type RunDocument,
  type StoreDatabase,
} from './mongo-collections.js';
import { modelScope, notFound, type MongoConnections } from './mongo-connections.js';
import { writeQuarantine } from './mongo-quarantine.js';
import { advanceRun, isCommitted } from './mongo-run-progress.js';
import type { MongoRuns } from './mongo-runs.js';
import type { MongoSeenKeys } from './mongo-seen-keys.js';

/** What became of a page: the run after it, or the payloads that it lacks. */
export type CommitResult =
  { readonly missing: readonly number[] } | { readonly run: RunDocument; readonly unchangedShare: number };

const CONFLICT_BUDGET_MS = 20_000;

/** Commits pages (R2, R3): plans outside a transaction, writes inside one that holds only if nothing came between. */
export class MongoCommitter {
  constructor(
    readonly db: StoreDatabase,
    readonly connections: MongoConnections,
    readonly runs: MongoRuns,
    readonly seenKeys: MongoSeenKeys,
    readonly mutex: KeyedMutex,
  ) {}

  /** Commits a page, or answers a page already committed as the first time. Throws LEASE_LOST, PAGE_OUT_OF_ORDER, SCOPE_VIOLATED. */
  async commit(lease: Lease, page: CommitPage): Promise<CommitResult> {
    checkBounds(page);
    const known = this.connections.known(lease.tenantId, lease.connectionId);
    // Before its turn comes: the page ahead is still being written then. The turn itself is taken before anything is
    // awaited, so that pages sent one behind the other commit in that order.
    if (known !== undefined) verifyPayloads(page, modelScope(known, lease.model), lease.model);
    return this.mutex.run(connectionKey(lease), async () => {
      const connection = known ?? (await this.connections.get(lease.tenantId, lease.connectionId));
      return retryConflicts(() => this.#attempt(connection, connection === known, lease, page));
    });
  }

  async #attempt(
    connection: ConnectionDocument,
    verified: boolean,
    lease: Lease,
    page: CommitPage,
  ): Promise<CommitResult> {
    const uid = connection._id;
    // The clock is read before the records: if it has not moved when the transaction writes it, neither have they.
    const refreshed = this.connections.refresh(connection);
    const [current, run, clock] = await Promise.all([
      refreshed,
      // A removal takes the runs along: it is what the writer is told of then.
      this.runs
        .get(connection, lease)
        .catch((error: unknown) => refreshed.then(() => Promise.reject(error as Error))),
      this.db.clocks.findOne({ _id: uid }),
    ]);
    if (clock === null) throw notFound();
    if (isCommitted(run, page)) return { run, unchangedShare: 0 };
    if (!verified || current.scope.revision !== connection.scope.revision)
      verifyPayloads(page, modelScope(current, lease.model), lease.model);
    const stored = await this.#stored(uid, lease.model, page.observations);
    const seen = lease.kind === FULL ? await this.seenKeys.load(run) : undefined;
    const plan = planCommit(page.observations, page.rejections, {
      runId: lease.runId,
      snapshot: seen !== undefined,
      observedSequence: page.observedSequence,
      stored,
      seen: (id) => seen?.has(id) ?? false,
    });
    if (seen === undefined && plan.stale > 0) throw overtaken(plan.stale);
    if (plan.missing.length > 0) return { missing: plan.missing };
    const snapshot = plan.touched.length > 0 ? await this.runs.openSnapshot(run) : null;
    const writes = await this.#writes(uid, lease.model, plan.changes);
    const packed = seen?.pack([...plan.seenLive, ...plan.seenOther]) ?? Buffer.alloc(0);
    const target = { uid, model: lease.model, runId: lease.runId, cause: lease.kind, head: clock.seq };
    const update = advanceRun(page, plan, writes, clock.seq);
    const after = await withTransaction(this.db.client, async (session) => {
      if (writes.length > 0) await writeChanges(this.db, session, target, writes);
      // A page without changes does not write the clock, but what it saw unchanged has to be unchanged still.
      else if (snapshot) await requireHead(this.db, session, target);
      if (snapshot) await this.#touch(session, snapshot, plan.touched);
      await this.seenKeys.write(session, run, packed);
      await writeQuarantine(this.db, session, run, plan.rejections);
      return this.runs.advance(run, update, session);
    });
    this.seenKeys.committed(run, packed);
    return { run: after, unchangedShare: plan.unchanged / Math.max(1, page.observations.length) };
  }

  /** Tells an open snapshot what this run saw live after it began, so that its deletes spare it (P4). */
  async #touch(session: ClientSession, snapshot: RunDocument, ids: readonly string[]): Promise<void> {
    await this.runs.touch(snapshot, session);
    await this.seenKeys.writeTouched(session, snapshot, ids);
  }

  async #stored(
    uid: string,
    model: string,
    observations: readonly Observation[],
  ): Promise<Map<string, StoredState>> {
    const keys = observations.map(({ id }) => recordKey(uid, model, id));
    const stored = new Map<string, StoredState>();
    if (keys.length === 0) return stored;
    const projection = { v: 1, s: 1, r: 1, o: 1, f: 1 };
    const documents = await this.db.records
      .find({ _id: { $in: keys } }, { projection, batchSize: keys.length + 1 })
      .toArray();
    for (const { _id, v, s, r, o, f } of documents) {
      const state = {
        version: v,
        sequence: s,
        runId: r,
        deleted: o === OPERATION.DELETED,
        fingerprint: f?.buffer,
      };
      stored.set(idOfKey(_id, model, uid), state);
    }
    return stored;
  }

  /** Adds to each change the version before it and what differs from it. */
  async #writes(uid: string, model: string, changes: readonly PlannedChange[]): Promise<RecordWrite[]> {
    const known = changes.filter(({ version }) => version > 1);
    const previous = await readPrevious(
      this.db,
      uid,
      model,
      known.map(({ observation }) => observation.id),
    );
    return changes.map((change) => {
      const { observation, version, operation } = change;
      const before = previous.get(observation.id);
      if ((before?.v ?? 0) !== version - 1) throw new CommitConflict('a record changed since it was read');
      const [old, fresh] = operation === 'UPDATED' ? [before?.p?.buffer, observation.payload] : [];
      const fields = old && fresh ? changedFields(parsePayload(old, model), parsePayload(fresh, model)) : [];
      return { change, previous: before, changedFields: fields };
    });
  }
}

/** Plans and writes again while other commits come between, within a budget. */
export async function retryConflicts<T>(attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + CONFLICT_BUDGET_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof CommitConflict)) throw error;
      if (performance.now() > deadline) {
        throw new TidemarkError(
          'DATABASE_UNAVAILABLE',
          'too many writers of this connection; nothing was written; try again',
          { cause: error },
        );
      }
    }
  }
}

/** The newest versions of records, by id. */
export async function readPrevious(
  db: StoreDatabase,
  uid: string,
  model: string,
  ids: readonly string[],
): Promise<Map<string, RecordDocument>> {
  if (ids.length === 0) return new Map();
  const keys = ids.map((id) => recordKey(uid, model, id));
  const documents = await db.records.find({ _id: { $in: keys } }, { batchSize: keys.length + 1 }).toArray();
  return new Map(documents.map((document) => [idOfKey(document._id, model, uid), document]));
}

/** What a delta read while another run wrote the same records is neither older nor newer for certain; read again, it is newer. */
function overtaken(count: number): TidemarkError {
  const message = `another run changed ${count} of the page's records while it was read; begin the run again to read them anew`;
  return new TidemarkError('PAGE_OUT_OF_ORDER', message);
}
