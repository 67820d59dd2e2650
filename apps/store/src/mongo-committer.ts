import { isTidemarkError, TidemarkError } from '@tidemark/model';
import { withTransaction } from '@tidemark/mongo';
import type { ClientSession } from 'mongodb';
import { checkBounds, verifyPayloads, type CommitPage } from './commit-page.js';
import { CommitQueue, type CommitJob, type VerifiedScope } from './commit-queue.js';
import type { KeyedMutex } from './keyed-mutex.js';
import { connectionKey, type Lease } from './lease.js';
import { CommitConflict, type MongoChangeWriter } from './mongo-change-writer.js';
import type { ClockDocument, ConnectionDocument, RunDocument, StoreDatabase } from './mongo-collections.js';
import { modelScope, notFound, type MongoConnections } from './mongo-connections.js';
import type { MongoPagePlanner, PageRequest, PlannedPage } from './mongo-page-planner.js';
import { writeQuarantine } from './mongo-quarantine.js';
import { advanceRun, isCommitted } from './mongo-run-progress.js';
import { leaseLost, type MongoRuns, type RunAdvance } from './mongo-runs.js';
import type { MongoSeenKeys } from './mongo-seen-keys.js';

/** What became of a page: the run after it, or the payloads that it lacks. */
export type CommitResult =
  { readonly missing: readonly number[] } | { readonly run: RunDocument; readonly unchangedShare: number };

type Job = CommitJob<CommitResult>;

const CONFLICT_BUDGET_MS = 20_000;

/** The parts that committing needs. */
export interface CommitterParts {
  readonly db: StoreDatabase;
  readonly connections: MongoConnections;
  readonly runs: MongoRuns;
  readonly seenKeys: MongoSeenKeys;
  readonly planner: MongoPagePlanner;
  readonly writer: MongoChangeWriter;
  readonly mutex: KeyedMutex;
}

/** Commits pages (R2, R3): plans outside a transaction, writes inside one that holds only if the plan still does. */
export class MongoCommitter {
  readonly #queue = new CommitQueue<CommitResult>();

  constructor(readonly parts: CommitterParts) {}

  /** Commits a page, or answers a page already committed as the first time. Throws LEASE_LOST, PAGE_OUT_OF_ORDER, SCOPE_VIOLATED. */
  async commit(lease: Lease, page: CommitPage): Promise<CommitResult> {
    checkBounds(page);
    const key = connectionKey(lease);
    const known = this.parts.connections.known(lease.tenantId, lease.connectionId);
    // Before its turn comes: the page ahead is still being written then. It joins the queue before anything is awaited, so
    // that pages sent one behind the other commit in that order.
    const job = this.#queue.add(key, lease, page, known && verify(page, lease, known));
    await this.parts.mutex.run(key, async () => {
      if (job.outcome !== undefined) return;
      await this.#queue.gather(key);
      const group = this.#queue.take(key);
      await this.#commitGroup(group, known);
    });
    if (job.outcome === undefined) throw new Error('a page left the queue without an outcome');
    return job.outcome;
  }

  /** Commits pages together; if that fails, each alone, so that none suffers for another one. Never throws. */
  async #commitGroup(group: readonly Job[], known: ConnectionDocument | undefined): Promise<void> {
    const together = retryConflicts(() => this.#attempt(group, known));
    const failure = await together.then(
      () => undefined,
      (error: unknown) => error as Error,
    );
    if (failure === undefined) return;
    const open = group.filter(({ outcome }) => outcome === undefined);
    const [only] = open;
    if (group.length === 1 || isTidemarkError(failure, 'DATABASE_UNAVAILABLE')) {
      for (const job of open) settle(job, Promise.reject(failure));
    } else if (only) for (const job of open) await this.#commitGroup([job], known);
  }

  async #attempt(group: readonly Job[], known: ConnectionDocument | undefined): Promise<void> {
    const open = group.filter(({ outcome }) => outcome === undefined);
    const [first] = open;
    if (first === undefined) return;
    const { connections, db } = this.parts;
    const { tenantId, connectionId } = first.lease;
    const before = known ?? (await connections.get(tenantId, connectionId));
    // The clock is read before the records: what is read later and is newer shows in their sequences.
    const [connection, clock, runs] = await Promise.all([
      connections.refresh(before),
      db.clocks.findOne({ _id: before._id }),
      this.parts.runs.find(
        before,
        open.map(({ lease }) => lease),
      ),
    ]);
    if (clock === null) throw notFound();
    const requests = open.flatMap((job, index) => this.#request(job, runs[index]) ?? []);
    const outcomes = await this.parts.planner.plan(connection, requests);
    const planned: { job: Job; page: PlannedPage }[] = [];
    outcomes.forEach((outcome, index) => {
      const job = requests[index]?.job;
      if (job === undefined) return;
      if ('plan' in outcome) planned.push({ job, page: outcome });
      else if ('refused' in outcome) settle(job, Promise.reject(outcome.refused));
      else settle(job, Promise.resolve(outcome));
    });
    if (planned.length === 0) return;
    const written = await this.#write(
      connection,
      clock,
      planned.map(({ page }) => page),
    );
    planned.forEach(({ job, page: { plan, page } }, index) => {
      const run = written[index];
      if (run === undefined) throw new Error('a page was committed without its run');
      const unchangedShare = plan.unchanged / Math.max(1, page.observations.length);
      settle(job, Promise.resolve({ run, unchangedShare }));
    });
  }

  /** What is to be planned of a page; undefined if it is settled without: committed before, or its lease is lost. */
  #request(job: Job, run: RunDocument | undefined): (PageRequest & { readonly job: Job }) | undefined {
    const { lease, page } = job;
    try {
      if (run === undefined) throw leaseLost();
      if (!isCommitted(run, page)) return { job, lease, page, run, verified: job.verified };
      settle(job, Promise.resolve({ run, unchangedShare: 0 }));
    } catch (error) {
      if (!isTidemarkError(error)) throw error;
      settle(job, Promise.reject(error));
    }
    return undefined;
  }

  async #write(
    connection: ConnectionDocument,
    clock: ClockDocument,
    planned: readonly PlannedPage[],
  ): Promise<RunDocument[]> {
    const { writer, db, runs, seenKeys } = this.parts;
    const commit = writer.prepare(
      connection,
      clock.seq,
      planned.map(({ part }) => part),
    );
    const advanced = await withTransaction(db.client, async (session) => {
      let last = await writer.write(session, commit);
      for (const page of planned) await this.#writeEvidence(session, page);
      const steps = planned.map(({ run, page, plan, part }): RunAdvance => {
        last += part.writes.length;
        return { run, $set: advanceRun(run, page, plan, part.writes, last) };
      });
      await runs.advanceAll(steps, session);
      return steps.map(({ run, $set }) => ({ ...run, ...$set }));
    });
    for (const { run, seen } of planned) seenKeys.committed(run, seen);
    return advanced;
  }

  /** What a page tells beside its changes: the keys that it held, what it saw for an open snapshot (P4), and what it lacks. */
  async #writeEvidence(session: ClientSession, { run, plan, seen, snapshot }: PlannedPage): Promise<void> {
    const { db, runs, seenKeys } = this.parts;
    if (snapshot) {
      await runs.touch(snapshot, session);
      await seenKeys.writeTouched(session, snapshot, plan.touched);
    }
    await seenKeys.write(session, run, seen);
    await writeQuarantine(db, session, run, plan.rejections);
  }
}

/** The scope that a page is within; undefined if it is not: that may be a scope of long ago, so the newest one is to judge. */
function verify(page: CommitPage, { model }: Lease, known: ConnectionDocument): VerifiedScope | undefined {
  try {
    verifyPayloads(page, modelScope(known, model), model);
    return { uid: known._id, revision: known.scope.revision };
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    return undefined;
  }
}

/** Its caller may be long gone: a failure that nobody waits for yet is no unhandled one. */
function settle(job: Job, outcome: Promise<CommitResult>): void {
  outcome.catch(() => undefined);
  job.outcome = outcome;
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
