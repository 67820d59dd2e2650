import type { Page, ReadEnd, ReadResponse } from '@tidemark/contracts';
import type { Reading, ReadingEnd, SourceDelay, SourceEntry } from './connector.js';
import { PageBuilder, type PageOptions } from './page-builder.js';
import { RequestCount } from './request-count.js';

const MORE: ReadResponse = { message: { $case: 'more', value: {} } };
const ABANDONED: ReadingEnd = { evidence: '', failures: ['the read was abandoned'] };

/**
 * The messages of a read: pages, then the end. A page that is full goes out at once; so does what was read when the source asks to
 * wait or fails, for it need not be read again. Breaks off with `more` once it has made the requests that it may. Closes the reading
 * however it is left.
 */
export async function* readStream(reading: Reading, options: PageOptions): AsyncGenerator<ReadResponse> {
  const pages = new PageBuilder(options);
  const { entries, expectedRecords } = reading;
  const count = new RequestCount(reading.meter, options.maxRequests);
  const message = (page: Page): ReadResponse => ({
    message: { $case: 'page', value: { ...page, expectedRecords, requests: count.page() } },
  });
  try {
    const next = receiver(entries);
    for (;;) {
      const received = await next();
      if (received.kind === 'BATCH') {
        // No await for each record: a batch is worked through in one go, interrupted by finished pages alone.
        for (const entry of received.batch) {
          const page = pages.add(entry);
          if (page === undefined) continue;
          yield message(page);
          // What came after it is read again.
          if (reading.meter === undefined && count.isSpent) {
            yield MORE;
            return;
          }
        }
        if (!pages.isFull && !(count.isSpent && (count.hasSent || !pages.isEmpty))) continue;
      }
      const page = pages.take();
      if (page !== undefined) yield message(page);
      if (received.kind === 'BATCH' && count.isSpent) {
        yield MORE;
        return;
      }
      if (received.kind === 'FAILURE') throw received.error;
      if (received.kind === 'DELAY') yield waitMessage(received.delay);
      if (received.kind === 'END') {
        yield { message: { $case: 'end', value: readEnd(received.end, pages.unidentified, options) } };
        return;
      }
    }
  } finally {
    await entries.return(ABANDONED);
  }
}

/** What a reading gave. */
type Received =
  | { readonly kind: 'BATCH'; readonly batch: readonly SourceEntry[] }
  | { readonly kind: 'DELAY'; readonly delay: SourceDelay }
  | { readonly kind: 'END'; readonly end: ReadingEnd }
  | { readonly kind: 'FAILURE'; readonly error: unknown };

function receiver(entries: Reading['entries']): () => Promise<Received> {
  return async () => {
    try {
      const { done, value } = await entries.next();
      if (done === true) return { kind: 'END', end: value };
      return 'waitMs' in value ? { kind: 'DELAY', delay: value } : { kind: 'BATCH', batch: value };
    } catch (error) {
      return { kind: 'FAILURE', error };
    }
  };
}

function waitMessage({ waitMs, message }: SourceDelay): ReadResponse {
  const ms = Math.max(0, Math.round(waitMs));
  const duration = { seconds: BigInt(Math.floor(ms / 1_000)), nanos: (ms % 1_000) * 1_000_000 };
  return { message: { $case: 'wait', value: { duration, message } } };
}

function readEnd(end: ReadingEnd, unidentified: number, options: PageOptions): ReadEnd {
  const failures = [...end.failures];
  const next = end.deltaCheckpoint ?? options.deltaCheckpoint;
  if (unidentified > 0) {
    failures.push(
      unidentified === 1
        ? 'the id of 1 rejected entry could not be read, so it is unknown which record it was'
        : `the ids of ${unidentified} rejected entries could not be read, so it is unknown which records they were`,
    );
  }
  return {
    endEvidence: end.evidence,
    failures,
    expectedRecords: end.expectedRecords,
    deltaCheckpoint: next === undefined ? Buffer.alloc(0) : options.checkpoints.encodeStart(next),
  };
}
