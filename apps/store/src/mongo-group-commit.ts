import { isTidemarkError } from '@tidemark/model';
import { withTransaction } from '@tidemark/mongo';
import type { ClientSession } from 'mongodb';
import type { CommitJob } from './commit-queue.js';
import { FULL } from './lease.js';
import { sequencesOfAll, type MongoChangeWriter, type PreparedCommit } from './mongo-change-writer.js';
import type { ConnectionDocument, RunDocument, StoreDatabase } from './mongo-collections.js';
import { notFound, type MongoConnections } from './mongo-connections.js';
import type { MongoPagePlanner, PageRequest, PlannedPage } from './mongo-page-planner.js';
import { writeQuarantine } from './mongo-quarantine.js';
import { advanceRun, isCommitted } from './mongo-run-progress.js';
import { leaseLost, type MongoRuns, type RunAdvance } from './mongo-runs.js';
import type { MongoSeenKeys } from './mongo-seen-keys.js';
import type { SeenKeys } from './seen-keys.js';

/** What became of a page: the run after it, or the payloads that it lacks. */
export type CommitResult =
  { readonly missing: readonly number[] } | { readonly run: RunDocument; readonly unchangedShare: number };

/** A page to be committed. */
export type PageJob = CommitJob<CommitResult>;

/** The parts that committing needs. */
export interface GroupCommitParts {
  readonly db: StoreDatabase;
  readonly connections: MongoConnections;
  readonly runs: MongoRuns;
  readonly seenKeys: MongoSeenKeys;
  readonly planner: MongoPagePlanner;
  readonly writer: MongoChangeWriter;
}

/** Pages planned to be committed together. */
export interface PlannedGroup {
  readonly pages: readonly PlannedJob[];
  readonly commit: PreparedCommit;
  /** Where a snapshot's next page finds its run, if this is a snapshot's page alone. */
  readonly ahead: Ahead | undefined;
}

interface PlannedJob {
  readonly job: PageJob;
  readonly page: PlannedPage;
  /** What the commit changes in its run, if it is written as expected. */
  readonly advance: RunAdvance;
}

/** How things stand once a snapshot's page is written, provided that it is written as planned. */
export interface Ahead {
  readonly run: RunDocument;
  readonly seenKeys: SeenKeys;
  /** The connection's sequence. */
  readonly head: number;
  /** Ids that the page holds: what was read of them before is out of date. */
  readonly ids: ReadonlySet<string>;
}

/** Plans and writes pages that are committed together: one attempt of it. */
export class MongoGroupCommit {
  constructor(readonly parts: GroupCommitParts) {}

  /**
   * Plans the pages that can be committed, and settles the others: committed before, refused, or without payloads that they
   * need. With `ahead` while the page before is being written: to be thrown away unless that is written as it was planned.
   * Throws CommitConflict.
   */
  async plan(
    jobs: readonly PageJob[],
    known: ConnectionDocument | undefined,
    ahead?: Ahead,
  ): Promise<PlannedGroup | undefined> {
    const [first] = jobs;
    if (first === undefined) return undefined;
    const { connections, db, runs, planner } = this.parts;
    const before = known ?? (await connections.get(first.lease.tenantId, first.lease.connectionId));
    const leases = jobs.map(({ lease }) => lease);
    // The clock is read before the records: what is read later and is newer shows in their sequences.
    const [connection, clock, found] = await Promise.all([
      connections.refresh(before),
      db.clocks.findOne({ _id: before._id }),
      ahead ? [ahead.run] : runs.find(before, leases),
    ]);
    if (clock === null) throw notFound();
    const requests = jobs.flatMap((job, index) => request(job, found[index], ahead) ?? []);
    const outcomes = await planner.plan(connection, requests);
    const planned: { job: PageJob; page: PlannedPage }[] = [];
    outcomes.forEach((outcome, index) => {
      const job = requests[index]?.job;
      if (job === undefined) return;
      if ('plan' in outcome) planned.push({ job, page: outcome });
      else if ('refused' in outcome) job.reject(outcome.refused);
      else job.resolve(outcome);
    });
    if (planned.length === 0) return undefined;
    return this.#prepare(connection, clock.seq, Math.max(clock.seq, ahead?.head ?? 0), planned);
  }

  #prepare(
    connection: ConnectionDocument,
    head: number,
    expected: number,
    planned: readonly { job: PageJob; page: PlannedPage }[],
  ): PlannedGroup {
    const parts = planned.map(({ page }) => page.part);
    const commit = this.parts.writer.prepare(connection, head, parts, expected);
    const advances = advancesOf(planned, expected);
    const pages = planned.flatMap(({ job, page }, index) => {
      const advance = advances[index];
      return advance ? [{ job, page, advance }] : [];
    });
    return { pages, commit, ahead: aheadOf(pages, expected + sequencesOfAll(parts)) };
  }

  /** Writes a group and settles its pages. Returns whether it was written as planned, right after the expected sequence. Throws CommitConflict. */
  async write({ pages, commit }: PlannedGroup): Promise<boolean> {
    const { writer, db, runs, seenKeys } = this.parts;
    const [before, advances] = await withTransaction(db.client, async (session) => {
      const after = await writer.write(session, commit);
      const steps =
        after === commit.expected ? pages.map(({ advance }) => advance) : advancesOf(pages, after);
      // Before the touches: a page of the snapshot itself may be among these.
      await runs.advanceAll(steps, session);
      await this.#writeTouches(session, pages);
      for (const { page } of pages) await this.#writeEvidence(session, page);
      return [after, steps] as const;
    });
    pages.forEach(({ job, page: { run, seenKeys: keys, seen, plan, page } }, index) => {
      if (keys) seenKeys.committed(run, keys, seen);
      const unchangedShare = plan.unchanged / Math.max(1, page.observations.length);
      job.resolve({ run: { ...run, ...advances[index]?.$set }, unchangedShare });
    });
    return before === commit.expected;
  }

  /** What pages saw for open snapshots (P4, P5): once for each snapshot, however many of the pages are of its model. */
  async #writeTouches(session: ClientSession, pages: readonly PlannedJob[]): Promise<void> {
    const { runs, seenKeys } = this.parts;
    const snapshots = new Map<string, { snapshot: RunDocument; ids: string[] }>();
    for (const { page } of pages) {
      const { snapshot, plan } = page;
      if (snapshot === null) continue;
      const entry = snapshots.get(snapshot._id) ?? { snapshot, ids: [] };
      snapshots.set(snapshot._id, entry);
      entry.ids.push(...plan.touched);
    }
    for (const { snapshot, ids } of snapshots.values()) {
      await runs.touch(snapshot, session);
      await seenKeys.writeTouched(session, snapshot, ids);
    }
  }

  /** What a page tells beside its changes: the keys that it held, and what it lacks. */
  async #writeEvidence(session: ClientSession, { run, plan, seen }: PlannedPage): Promise<void> {
    const { db, seenKeys } = this.parts;
    await seenKeys.write(session, run, seen);
    await writeQuarantine(db, session, run, plan.rejections);
  }
}

/** What is to be planned of a page; undefined if it is settled without: committed before, or its lease is lost. */
function request(
  job: PageJob,
  run: RunDocument | undefined,
  ahead: Ahead | undefined,
): (PageRequest & { readonly job: PageJob }) | undefined {
  const { lease, page, verified } = job;
  try {
    if (run === undefined) throw leaseLost();
    if (!isCommitted(run, page))
      return { job, lease, page, run, verified, ...(ahead ? { seenKeys: ahead.seenKeys } : {}) };
    job.resolve({ run, unchangedShare: 0 });
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    job.reject(error);
  }
  return undefined;
}

/** What pages change in their runs if they are written after a sequence. */
function advancesOf(pages: readonly { readonly page: PlannedPage }[], before: number): RunAdvance[] {
  let last = before;
  return pages.map(({ page: { lease, run, page, plan, part } }) => {
    last += part.writes.length;
    const reliesOnTouches = lease.kind === FULL && part.writes.length > 0;
    return { run, $set: advanceRun(run, page, plan, part.writes, last), reliesOnTouches };
  });
}

function aheadOf([only, ...others]: readonly PlannedJob[], head: number): Ahead | undefined {
  if (only === undefined || others.length > 0) return undefined;
  const { job, page, advance } = only;
  if (job.lease.kind !== FULL || page.seenKeys === undefined) return undefined;
  return {
    run: { ...page.run, ...advance.$set },
    seenKeys: page.seenKeys,
    head,
    ids: new Set(idsOf(job)),
  };
}

/** Whether a page is the one that comes next in a snapshot, and holds nothing that the page before held. */
export function follows(job: PageJob, { run, ids }: Ahead): boolean {
  const { lease, page } = job;
  return (
    lease.kind === FULL &&
    lease.model === run.m &&
    lease.runId === run.run &&
    lease.epoch === run.epoch &&
    page.pageNumber === run.pages &&
    page.reading === run.readings &&
    idsOf(job).every((id) => !ids.has(id))
  );
}

function idsOf({ page: { observations, rejections } }: PageJob): string[] {
  return [...observations.map(({ id }) => id), ...rejections.flatMap(({ id }) => id ?? [])];
}
