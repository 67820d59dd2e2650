import { isTidemarkError, TidemarkError } from '@tidemark/model';
import { checkBounds, verifyPayloads, type CommitPage } from './commit-page.js';
import { CommitQueue, type VerifiedScope } from './commit-queue.js';
import { KeyedMutex } from './keyed-mutex.js';
import { connectionKey, type Lease } from './lease.js';
import { CommitConflict } from './mongo-change-writer.js';
import type { ConnectionDocument } from './mongo-collections.js';
import { modelScope, type MongoConnections } from './mongo-connections.js';
import {
  follows,
  type Ahead,
  type CommitResult,
  type MongoGroupCommit,
  type PageJob,
  type PlannedGroup,
} from './mongo-group-commit.js';

const CONFLICT_BUDGET_MS = 20_000;

/** A group that is being written. */
class Writing {
  /** As it was last planned. */
  ahead: Ahead | undefined;
  /** Whether it was written as it was last planned. */
  isExact = false;
  /** Resolves once it is planned for the first time, or cannot be. */
  readonly planned: Promise<void>;
  done: Promise<void> = Promise.resolve();
  #resolve: () => void = () => undefined;

  constructor() {
    this.planned = new Promise((resolve) => (this.#resolve = resolve));
  }

  plan(group: PlannedGroup | undefined): void {
    this.ahead = group?.ahead;
    this.isExact = false;
    this.#resolve();
  }

  end(): void {
    this.#resolve();
  }
}

/** A page that was planned while the one before it was written. */
interface Follower {
  readonly jobs: readonly PageJob[];
  readonly ahead: Ahead;
  /** Undefined if that failed: it is planned again when its turn comes, and tells why then. */
  readonly group: PlannedGroup | undefined;
}

/**
 * Commits pages (R2, R3): plans outside a transaction, writes inside one that holds only if the plan still does. The large
 * pages of a snapshot overlap: each is planned while the one before it is written.
 */
export class MongoCommitter {
  readonly #queue: CommitQueue<CommitResult>;
  /** Whose turn it is to be planned. */
  readonly #turns = new KeyedMutex();
  readonly #writing = new Map<string, Writing>();

  constructor(
    readonly connections: MongoConnections,
    readonly groups: MongoGroupCommit,
    /** Whose turn it is to write to a connection. */
    readonly mutex: KeyedMutex,
    largePage?: number,
  ) {
    this.#queue = new CommitQueue(largePage);
  }

  /** Commits a page, or answers a page already committed as the first time. Throws LEASE_LOST, PAGE_OUT_OF_ORDER, SCOPE_VIOLATED. */
  async commit(lease: Lease, page: CommitPage): Promise<CommitResult> {
    checkBounds(page);
    const key = connectionKey(lease);
    const known = this.connections.known(lease.tenantId, lease.connectionId);
    // Before its turn comes: the page ahead is still being written then. It joins the queue before anything is awaited, so
    // that pages sent one behind the other commit in that order.
    const job = this.#queue.add(key, lease, page, known && verify(page, lease, known));
    await this.#turns.run(key, () => this.#turn(key, job, known));
    return job.outcome;
  }

  /** A page's turn, unless another one took it along. Ends when the next one may be planned. */
  async #turn(key: string, job: PageJob, known: ConnectionDocument | undefined): Promise<void> {
    if (job.isTaken) return;
    const before = this.#writing.get(key);
    const follower = before && (await this.#planAhead(key, job, known, before));
    await before?.done;
    if (follower === undefined) await this.#queue.gather(key);
    const jobs = follower?.jobs ?? this.#queue.take(key);
    const isSound = before?.isExact === true && before.ahead === follower?.ahead;
    const writing = this.#write(key, jobs, known, isSound ? follower?.group : undefined);
    if (!jobs.every(({ isLarge }) => isLarge)) await writing.done;
  }

  async #planAhead(
    key: string,
    job: PageJob,
    known: ConnectionDocument | undefined,
    before: Writing,
  ): Promise<Follower | undefined> {
    await before.planned;
    const { ahead } = before;
    if (ahead === undefined || !job.isLarge || !follows(job, ahead)) return undefined;
    const jobs = this.#queue.takeFirst(key);
    const group = await this.groups.plan(jobs, known, ahead).catch(() => undefined);
    return { jobs, ahead, group };
  }

  #write(
    key: string,
    jobs: readonly PageJob[],
    known: ConnectionDocument | undefined,
    group: PlannedGroup | undefined,
  ): Writing {
    const writing = new Writing();
    if (group) writing.plan(group);
    this.#writing.set(key, writing);
    writing.done = this.mutex
      .run(key, () => this.#commit(jobs, known, writing, group))
      .finally(() => {
        writing.end();
        if (this.#writing.get(key) === writing) this.#writing.delete(key);
      });
    return writing;
  }

  /** Commits pages together; if that fails, each alone, so that none suffers for another one. Never throws. */
  async #commit(
    jobs: readonly PageJob[],
    known: ConnectionDocument | undefined,
    writing: Writing,
    planned?: PlannedGroup,
  ): Promise<void> {
    let ready = planned;
    const together = retryConflicts(async () => {
      const group = ready ?? (await this.groups.plan(open(jobs), known));
      if (ready === undefined) writing.plan(group);
      ready = undefined;
      if (group !== undefined) writing.isExact = await this.groups.write(group);
    });
    const failure = await together.then(
      () => undefined,
      (error: unknown) => error as Error,
    );
    if (failure === undefined) return;
    const left = open(jobs);
    if (jobs.length === 1 || isTidemarkError(failure, 'DATABASE_UNAVAILABLE'))
      for (const job of left) job.reject(failure);
    else for (const job of left) await this.#commit([job], known, writing);
  }
}

function open(jobs: readonly PageJob[]): PageJob[] {
  return jobs.filter(({ isSettled }) => !isSettled);
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
