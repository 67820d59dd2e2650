import type { CommitPage } from './commit-page.js';
import type { Lease } from './lease.js';

const MAX_GROUP_RECORDS = 1_000;
const MAX_GROUP_BYTES = 4 * 1024 * 1024;
const MAX_GROUP_JOBS = 64;
/** A run that sent a page so long ago, or later, is likely to send the next one soon. */
const ACTIVE_MS = 100;
/** How long a commit waits for the pages of such runs: about as long as its own round trips take. */
const GATHER_MS = 3;
/** Connections whose writers are remembered. */
const MAX_ACTIVE = 1_000;
const LARGE_PAGE = 200;

/** Which connection's scope, in which revision. */
export interface VerifiedScope {
  readonly uid: string;
  readonly revision: number;
}

/** A page that waits for its commit, and what comes of it. */
export class CommitJob<T> {
  readonly bytes: number;
  /** How it came out. */
  readonly outcome: Promise<T>;
  /** Whether somebody commits it. */
  isTaken = false;
  isSettled = false;
  #settle: (outcome: Promise<T>) => void = () => undefined;

  constructor(
    readonly lease: Lease,
    readonly page: CommitPage,
    /** The scope that its payloads were verified against, if they were. */
    readonly verified: VerifiedScope | undefined,
    /** Whether it is worth a commit of its own. */
    readonly isLarge: boolean,
  ) {
    this.bytes = page.observations.reduce((sum, { payload }) => sum + (payload?.byteLength ?? 0), 0);
    this.outcome = new Promise((resolve) => (this.#settle = resolve));
    // Its caller may be long gone: a failure that nobody waits for is no unhandled one.
    this.outcome.catch(() => undefined);
  }

  resolve(value: T): void {
    this.settle(Promise.resolve(value));
  }

  reject(error: Error): void {
    this.settle(Promise.reject(error));
  }

  private settle(outcome: Promise<T>): void {
    this.isSettled = true;
    this.#settle(outcome);
  }
}

/**
 * Pages that wait for their turn, by connection. Whoever's turn comes takes along those of other runs that fit into the
 * same commit, so that many writers of one connection cost one commit, not one each.
 */
export class CommitQueue<T> {
  readonly #waiting = new Map<string, CommitJob<T>[]>();
  /** When each run of a connection last sent a page, the latest last. */
  readonly #active = new Map<string, Map<string, number>>();
  readonly #arrivals = new Map<string, () => void>();

  /** A page of so many records is worth a commit of its own. */
  constructor(readonly largePage = LARGE_PAGE) {}

  /**
   * Resolves when it is worth to commit what waits: at once for a connection with one writer; where several runs write small
   * pages, when they have all sent theirs, or a few milliseconds have passed.
   */
  async gather(key: string): Promise<void> {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), GATHER_MS);
    while (!timeout.signal.aborted && this.#isGathering(key)) {
      await new Promise<void>((resolve) => {
        this.#arrivals.set(key, resolve);
        timeout.signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    this.#arrivals.delete(key);
    clearTimeout(timer);
  }

  #isGathering(key: string): boolean {
    const jobs = this.#waiting.get(key) ?? [];
    const size = jobs.reduce((sum, { page }) => sum + page.observations.length, 0);
    const waiting = new Set(jobs.map(runOf)).size;
    return size < this.largePage && waiting < this.#writers(key) && waiting > 0;
  }

  /** How many runs of a connection are writing. */
  #writers(key: string): number {
    const active = this.#active.get(key) ?? new Map<string, number>();
    const since = performance.now() - ACTIVE_MS;
    for (const [run, at] of active) {
      if (at >= since) break;
      active.delete(run);
    }
    if (active.size === 0) this.#active.delete(key);
    return active.size;
  }

  /** Takes a page in, in order of arrival. */
  add(key: string, lease: Lease, page: CommitPage, verified?: VerifiedScope): CommitJob<T> {
    const isLarge = page.observations.length >= this.largePage;
    const job = new CommitJob<T>(lease, page, verified, isLarge);
    const jobs = this.#waiting.get(key) ?? [];
    this.#waiting.set(key, jobs);
    jobs.push(job);
    this.#noteActive(key, runOf(job));
    this.#arrivals.get(key)?.();
    return job;
  }

  #noteActive(key: string, run: string): void {
    if (this.#active.size > MAX_ACTIVE) this.#active.clear();
    const active = this.#active.get(key) ?? new Map<string, number>();
    this.#active.set(key, active);
    active.delete(run);
    active.set(run, performance.now());
  }

  /** Takes out the pages that are committed together next: the oldest, and what fits. */
  take(key: string): CommitJob<T>[] {
    return this.#takeOut(key, groupOf(this.#waiting.get(key) ?? []));
  }

  /** Takes out one page alone, which has to be the oldest. */
  takeFirst(key: string): CommitJob<T>[] {
    return this.#takeOut(key, (this.#waiting.get(key) ?? []).slice(0, 1));
  }

  #takeOut(key: string, group: CommitJob<T>[]): CommitJob<T>[] {
    const jobs = this.#waiting.get(key) ?? [];
    const rest = jobs.filter((job) => !group.includes(job));
    if (rest.length > 0) this.#waiting.set(key, rest);
    else this.#waiting.delete(key);
    for (const job of group) job.isTaken = true;
    return group;
  }
}

/** The first job and those after it that are of other runs, touch other records, and keep the commit within its bounds. */
function groupOf<T>(jobs: readonly CommitJob<T>[]): CommitJob<T>[] {
  const group: CommitJob<T>[] = [];
  const runs = new Set<string>();
  const records = new Set<string>();
  let [count, bytes] = [0, 0];
  for (const job of jobs) {
    const run = runOf(job);
    const size = job.page.observations.length + job.page.rejections.length;
    const fits =
      group.length === 0 ||
      (group.length < MAX_GROUP_JOBS &&
        count + size <= MAX_GROUP_RECORDS &&
        bytes + job.bytes <= MAX_GROUP_BYTES &&
        !runs.has(run) &&
        keysOf(job).every((key) => !records.has(key)));
    // A page left behind keeps the later ones of its run behind, too: they commit in order.
    runs.add(run);
    if (!fits) continue;
    group.push(job);
    for (const key of keysOf(job)) records.add(key);
    count += size;
    bytes += job.bytes;
  }
  return group;
}

function runOf<T>({ lease }: CommitJob<T>): string {
  return `${lease.model}\0${lease.kind}`;
}

function keysOf<T>({ lease, page }: CommitJob<T>): string[] {
  return page.observations.map(({ id }) => `${lease.model}\0${id}`);
}
