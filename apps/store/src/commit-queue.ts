import type { CommitPage } from './commit-page.js';
import type { Lease } from './lease.js';

const MAX_GROUP_RECORDS = 1_000;
const MAX_GROUP_BYTES = 4 * 1024 * 1024;
const MAX_GROUP_JOBS = 64;

/** A page that waits for its commit. */
export interface CommitJob<T> {
  readonly lease: Lease;
  readonly page: CommitPage;
  readonly bytes: number;
  outcome: Promise<T> | undefined;
}

/**
 * Pages that wait for their turn, by connection. Whoever's turn comes takes along those of other runs that fit into the
 * same commit, so that many writers of one connection cost one commit, not one each.
 */
export class CommitQueue<T> {
  readonly #waiting = new Map<string, CommitJob<T>[]>();

  /** Takes a page in, in order of arrival. */
  add(key: string, lease: Lease, page: CommitPage): CommitJob<T> {
    const bytes = page.observations.reduce((sum, { payload }) => sum + (payload?.byteLength ?? 0), 0);
    const job: CommitJob<T> = { lease, page, bytes, outcome: undefined };
    const jobs = this.#waiting.get(key) ?? [];
    this.#waiting.set(key, jobs);
    jobs.push(job);
    return job;
  }

  /** Takes out the pages that are committed together next: the oldest, and what fits. */
  take(key: string): CommitJob<T>[] {
    const jobs = this.#waiting.get(key) ?? [];
    const group = groupOf(jobs);
    const rest = jobs.filter((job) => !group.includes(job));
    if (rest.length > 0) this.#waiting.set(key, rest);
    else this.#waiting.delete(key);
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
    const run = `${job.lease.model}\0${job.lease.kind}`;
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

function keysOf<T>({ lease, page }: CommitJob<T>): string[] {
  return page.observations.map(({ id }) => `${lease.model}\0${id}`);
}
