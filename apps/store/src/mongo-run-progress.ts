import { TidemarkError } from '@tidemark/model';
import { Binary } from 'mongodb';
import type { CommitPage } from './commit-page.js';
import type { CommitPlan } from './commit-plan.js';
import { addDiscrepancies } from './discrepancies.js';
import type { RecordWrite } from './mongo-change-writer.js';
import type { CountersDocument, RunDocument } from './mongo-collections.js';

/** Whether a page was committed before, as a retry does not know. Throws PAGE_OUT_OF_ORDER if it is not the next one either. */
export function isCommitted(run: RunDocument, page: CommitPage): boolean {
  if (run.readings !== page.reading)
    throw new TidemarkError('PAGE_OUT_OF_ORDER', 'the run was begun again since the page was read');
  if (run.state === 'READING' && run.pages === page.pageNumber) return false;
  const same =
    run.pages === page.pageNumber + 1 && Buffer.compare(run.checkpoint.buffer, page.checkpoint) === 0;
  if (same) return true;
  const message = `page ${page.pageNumber} does not follow the ${run.pages} committed ones; begin the run again`;
  throw new TidemarkError('PAGE_OUT_OF_ORDER', message);
}

/** What a delta read while another run wrote the same records is neither older nor newer for certain; read again, it is newer. */
export function overtaken(count: number): TidemarkError {
  const message = `another run changed ${count} of the page's records while it was read; begin the run again to read them anew`;
  return new TidemarkError('PAGE_OUT_OF_ORDER', message);
}

/** What a page's commit changes in its run: checkpoint, counters and evidence. `last` is the sequence of its last change. */
export function advanceRun(
  run: RunDocument,
  page: CommitPage,
  plan: CommitPlan,
  writes: readonly RecordWrite[],
  last: number,
): Partial<RunDocument> {
  const count = (...operations: string[]): number =>
    writes.filter(({ change }) => operations.includes(change.operation)).length;
  return {
    checkpoint: new Binary(page.checkpoint),
    ...(writes.length > 0 ? { lastSequence: last } : {}),
    pages: run.pages + 1,
    ownChanges: run.ownChanges + writes.length,
    seenLive: run.seenLive + plan.seenLive.length,
    repeats: run.repeats + plan.repeats,
    anonymousRejections:
      run.anonymousRejections + plan.rejections.filter(({ id }) => id === undefined).length,
    duplicateIds: run.duplicateIds + plan.rejections.filter(({ reason }) => reason === 'ID_DUPLICATE').length,
    counters: addCounters(run.counters, {
      read: page.observations.length + page.rejections.length,
      created: count('CREATED', 'RESTORED'),
      updated: count('UPDATED'),
      unchanged: plan.unchanged,
      deleted: count('DELETED'),
      quarantined: plan.rejections.length,
      stale: plan.stale,
    }),
    ...(run.discrepancies ? { discrepancies: addDiscrepancies(run.discrepancies, writes) } : {}),
  };
}

function addCounters(before: CountersDocument, more: CountersDocument): CountersDocument {
  return {
    read: before.read + more.read,
    created: before.created + more.created,
    updated: before.updated + more.updated,
    unchanged: before.unchanged + more.unchanged,
    deleted: before.deleted + more.deleted,
    quarantined: before.quarantined + more.quarantined,
    stale: before.stale + more.stale,
  };
}
