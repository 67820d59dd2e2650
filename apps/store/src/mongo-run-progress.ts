import { TidemarkError } from '@tidemark/model';
import { Binary, type UpdateFilter } from 'mongodb';
import type { CommitPage } from './commit-page.js';
import type { CommitPlan } from './commit-plan.js';
import type { RecordWrite } from './mongo-change-writer.js';
import type { CountersDocument, RunDocument } from './mongo-collections.js';

/** Whether a page was committed before, as a retry does not know. Throws PAGE_OUT_OF_ORDER if it is not the next one either. */
export function isCommitted(run: RunDocument, page: CommitPage): boolean {
  if (run.state === 'READING' && run.pages === page.pageNumber) return false;
  const same =
    run.pages === page.pageNumber + 1 && Buffer.compare(run.checkpoint.buffer, page.checkpoint) === 0;
  if (same) return true;
  const message = `page ${page.pageNumber} does not follow the ${run.pages} committed ones; begin the run again`;
  throw new TidemarkError('PAGE_OUT_OF_ORDER', message);
}

/** What a page's commit changes in its run: checkpoint, counters and evidence. `head` is the sequence before the commit. */
export function advanceRun(
  page: CommitPage,
  plan: CommitPlan,
  writes: readonly RecordWrite[],
  head: number,
): UpdateFilter<RunDocument> {
  const count = (...operations: string[]): number =>
    writes.filter(({ change }) => operations.includes(change.operation)).length;
  const counters: CountersDocument = {
    read: page.observations.length + page.rejections.length,
    created: count('CREATED', 'RESTORED'),
    updated: count('UPDATED'),
    unchanged: plan.unchanged,
    deleted: count('DELETED'),
    quarantined: plan.rejections.length,
    stale: plan.stale,
  };
  return {
    $set: {
      checkpoint: new Binary(page.checkpoint),
      ...(writes.length > 0 ? { lastSequence: head + writes.length } : {}),
    },
    $inc: {
      pages: 1,
      ownSequences: writes.length,
      seenLive: plan.seenLive.length,
      repeats: plan.repeats,
      anonymousRejections: plan.rejections.filter(({ id }) => id === undefined).length,
      duplicateIds: plan.rejections.filter(({ reason }) => reason === 'ID_DUPLICATE').length,
      ...Object.fromEntries(Object.entries(counters).map(([name, value]) => [`counters.${name}`, value])),
    },
  };
}
