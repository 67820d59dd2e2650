import { TidemarkError } from '@tidemark/model';
import {
  MongoClientClosedError,
  MongoError,
  MongoErrorLabel,
  MongoNetworkError,
  MongoNotConnectedError,
  MongoServerError,
  MongoServerSelectionError,
  MongoTopologyClosedError,
} from 'mongodb';

const DUPLICATE_KEY = 11000;

/** Server answers that mean "no primary to be reached now": unreachable, timed out, shutting down, stepping down, recovering. */
const OUTAGE_CODES = new Set<number | string | undefined>([
  6, 7, 89, 91, 133, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436,
]);

/** True when the whole transaction may run again: the server says that nothing of it was applied. */
export function isTransient(error: unknown): boolean {
  return hasLabel(error, MongoErrorLabel.TransientTransactionError);
}

/** True when only the commit may be sent again: the transaction may or may not have been applied. */
export function isCommitUnknown(error: unknown): boolean {
  return hasLabel(error, MongoErrorLabel.UnknownTransactionCommitResult);
}

/** Looks through TidemarkErrors, so that a body may wrap what the driver threw and is still retried. */
function hasLabel(error: unknown, label: string): boolean {
  if (error instanceof TidemarkError) {
    return hasLabel(error.cause, label);
  }
  return error instanceof MongoError && error.hasErrorLabel(label);
}

/** True when a unique index refused a write. */
export function isDuplicateKey(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === DUPLICATE_KEY;
}

function isOutage(error: MongoError): boolean {
  return (
    error instanceof MongoNetworkError ||
    error instanceof MongoServerSelectionError ||
    error instanceof MongoNotConnectedError ||
    error instanceof MongoTopologyClosedError ||
    error instanceof MongoClientClosedError ||
    error.hasErrorLabel(MongoErrorLabel.RetryableWriteError) ||
    OUTAGE_CODES.has(error.code)
  );
}

/**
 * Turns whatever a database call threw into a TidemarkError: DATABASE_UNAVAILABLE for an outage, INTERNAL for the rest.
 * The driver's own message stays in the cause alone, because it can quote documents.
 */
export function toTidemarkError(error: unknown): TidemarkError {
  if (error instanceof TidemarkError) {
    return error;
  }
  if (error instanceof MongoError && isOutage(error)) {
    return new TidemarkError('DATABASE_UNAVAILABLE', 'The database does not answer; try again shortly.', {
      cause: error,
    });
  }
  const code = error instanceof MongoServerError ? ` (code ${String(error.code)})` : '';
  return new TidemarkError('INTERNAL', `A database operation failed${code}.`, { cause: error });
}
