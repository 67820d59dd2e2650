import { SyncKind, type DeleteDecision, type FinishRunResponse } from '@tidemark/contracts';
import type { StoreHarness, TestRecord } from './harness.js';
import { cutTo } from './model-scope.js';
import type { SourcePage } from './model-source.js';
import type { Hold } from './model-writer.js';

/** How a page is sent. */
export type Sending = 'whole' | 'bare first' | 'twice' | 'with the next';

/** How a source ends. */
export type Ending = 'complete' | 'failed' | 'unseen';

const GUARD = { maxDeletedShare: 0.4, minDeletedRecords: 3, maxQuarantinedShare: 1 };

/** Commits a page as a writer does: without payloads first, if it does not expect changes; again, if no answer came. */
export async function sendPage(
  store: StoreHarness,
  { run, pages, fields }: Hold,
  page: SourcePage,
  sending: Sending,
): Promise<void> {
  const records = page.records.map(([id, content]): TestRecord => [
    id,
    content ? cutTo(fields, content) : null,
  ]);
  run.sendPayloads = sending !== 'bare first';
  const request = () => ({
    ...run.message(records, pages),
    rejected: page.rejected.map((id) => ({ id, position: id, reason: 1, message: 'unreadable' })),
    checkpoint: Buffer.from(page.checkpoint),
  });
  const first = await store.writing.commitPage(request());
  run.sendPayloads = true;
  const answer = first.missingPayloads.length > 0 ? await store.writing.commitPage(request()) : first;
  if (sending !== 'twice') return;
  const again = await store.writing.commitPage(request());
  if (again.counters?.read !== answer.counters?.read) throw new Error('a page sent again was counted again');
}

/** Ends a run as far as one call goes. */
export async function finishRun(
  store: StoreHarness,
  { run, checkpoint }: Hold,
  ending: Ending,
  decision: DeleteDecision,
  kind: SyncKind,
): Promise<FinishRunResponse> {
  const end = {
    endEvidence: ending === 'unseen' ? '' : 'the end',
    failures: ending === 'failed' ? ['a page failed'] : [],
    deltaCheckpoint: Buffer.from(kind === SyncKind.FULL ? (checkpoint.split('|')[0] ?? '') : checkpoint),
  };
  return store.writing.finishRun({ lease: run.lease, end, guard: GUARD, decision });
}
