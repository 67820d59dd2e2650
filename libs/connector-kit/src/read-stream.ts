import type { ReadEnd, ReadResponse } from '@tidemark/contracts';
import type { Reading, ReadingEnd } from './connector.js';
import { PageBuilder, type PageOptions } from './page-builder.js';

const ABANDONED: ReadingEnd = { evidence: '', failures: ['the read was abandoned'] };

/** The messages of a read: pages, then the end. Closes the reading however it is left. */
export async function* readStream(reading: Reading, options: PageOptions): AsyncGenerator<ReadResponse> {
  const pages = new PageBuilder(options);
  const { entries, expectedRecords } = reading;
  try {
    let next = await entries.next();
    for (; next.done !== true; next = await entries.next()) {
      // No await for each record: a batch is worked through in one go, interrupted by finished pages alone.
      for (const entry of next.value) {
        const page = pages.add(entry);
        if (page !== undefined) yield { message: { $case: 'page', value: { ...page, expectedRecords } } };
      }
    }
    const rest = pages.take();
    if (rest !== undefined) yield { message: { $case: 'page', value: { ...rest, expectedRecords } } };
    yield { message: { $case: 'end', value: readEnd(next.value, pages.unidentified) } };
  } finally {
    await entries.return(ABANDONED);
  }
}

function readEnd(end: ReadingEnd, unidentified: number): ReadEnd {
  const failures = [...end.failures];
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
    deltaCheckpoint: new Uint8Array(0),
  };
}
