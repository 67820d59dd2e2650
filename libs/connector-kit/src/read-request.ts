import type { ReadRequest } from '@tidemark/contracts';
import { TidemarkError, type FieldViolation } from '@tidemark/model';

/** Largest page that still fits a message with its largest record (4 MiB) and ids. */
const MAX_PAGE_BYTES = 8 * 1024 * 1024;
const MAX_PAGE_RECORDS = 1000;
const MAX_OVERLAP_MS = 366 * 24 * 3_600_000;
const FINGERPRINT_KEY_BYTES = 32;

/** Throws REQUEST_INVALID with every fault of a read request. */
export function validateReadRequest(request: ReadRequest): void {
  const violations: FieldViolation[] = [];
  const demand = (holds: boolean, field: string, description: string) => {
    if (!holds) violations.push({ field, description });
  };
  demand(request.model !== '', 'model', 'names the model to read');
  demand(
    request.fingerprintKey.length === FINGERPRINT_KEY_BYTES,
    'fingerprint_key',
    `has ${FINGERPRINT_KEY_BYTES} bytes`,
  );
  demand(isWithin(request.pageRecords, MAX_PAGE_RECORDS), 'page_records', `is 1 to ${MAX_PAGE_RECORDS}`);
  demand(isWithin(request.pageBytes, MAX_PAGE_BYTES), 'page_bytes', `is 1 to ${MAX_PAGE_BYTES}`);
  demand(
    request.overlap === undefined || isWithin(toMilliseconds(request.overlap), MAX_OVERLAP_MS, 0),
    'overlap',
    'is 0 s to 366 days',
  );
  demand(
    request.maxRequests === undefined || isWithin(request.maxRequests, Infinity),
    'max_requests',
    'is 1 or more',
  );
  if (violations.length > 0) {
    const faults = violations.map(({ field, description }) => `${field} ${description}`);
    throw new TidemarkError('REQUEST_INVALID', `the read request is faulty: ${faults.join('; ')}`, {
      violations,
    });
  }
}

/** A duration in whole milliseconds, rounded up. */
export function toMilliseconds({ seconds, nanos }: NonNullable<ReadRequest['overlap']>): number {
  return Number(seconds) * 1_000 + Math.ceil(nanos / 1_000_000);
}

function isWithin(value: number, most: number, least = 1): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}
