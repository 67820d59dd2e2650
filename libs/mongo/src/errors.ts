import { TidemarkError } from '@tidemark/model';
import {
  MongoBulkWriteError,
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
  // The cursor of a read is gone with the server that had it, which is back by now: read on from where it was.
  43,
  175, 237,
]);

/**
 * The database's cache is too full for the transaction, which it rolled back: others fill it, too, and a moment later they do
 * not. TemporarilyUnavailable, TransactionTooLargeForCache.
 */
const CACHE_CODES = new Set<number | string | undefined>([365, 388]);

/** What a socket fails with when the other end is gone. */
const SOCKET_CODES = new Set([
  'EPIPE',
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
]);

/** True when the server says that nothing of a transaction was applied, so that all of it may run again. */
export function isTransient(error: unknown): boolean {
  return hasLabel(error, MongoErrorLabel.TransientTransactionError);
}

/**
 * True when a transaction whose commit was not sent may run again. The driver labels what breaks one, but not where the
 * connection was already given up because another one broke, nor where the failure comes out of a bulk write.
 */
export function isBroken(error: unknown): boolean {
  const failure = unwrap(error);
  if (failure instanceof MongoServerError && CACHE_CODES.has(failure.code)) return true;
  return isTransient(failure) || (isOutage(failure) && !(failure instanceof MongoServerSelectionError));
}

/** True when only the commit may be sent again: the transaction may or may not have been applied. */
export function isCommitUnknown(error: unknown): boolean {
  const failure = unwrap(error);
  if (isTransient(failure)) {
    return false;
  }
  return hasLabel(failure, MongoErrorLabel.UnknownTransactionCommitResult) || isOutage(failure);
}

function hasLabel(error: unknown, label: string): boolean {
  const failure = unwrap(error);
  return failure instanceof MongoError && failure.hasErrorLabel(label);
}

/** What the driver met: bulk writes wrap it, and a transaction's body may have made a TidemarkError of it. */
function unwrap(error: unknown): unknown {
  if (error instanceof TidemarkError) {
    return error.cause === undefined ? error : unwrap(error.cause);
  }
  const wrapped: unknown = error instanceof MongoBulkWriteError ? error.errorResponse : undefined;
  return wrapped instanceof MongoError ? wrapped : error;
}

/** True when a unique index refused a write. */
export function isDuplicateKey(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === DUPLICATE_KEY;
}

/** True for what a database call can throw: the driver's errors, and those of its sockets, as they are. */
export function isDatabaseFailure(error: unknown): boolean {
  return error instanceof MongoError || isSocketFailure(error);
}

function isSocketFailure(error: unknown): boolean {
  // By its code: the driver passes on what a socket failed with while it wrote to it.
  const code: unknown =
    typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && SOCKET_CODES.has(code);
}

function isOutage(error: unknown): boolean {
  if (!(error instanceof MongoError)) {
    return isSocketFailure(error);
  }
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
  if (isOutage(unwrap(error))) {
    return new TidemarkError('DATABASE_UNAVAILABLE', 'The database does not answer; try again shortly.', {
      cause: error,
    });
  }
  const code = error instanceof MongoServerError ? ` (code ${String(error.code)})` : '';
  return new TidemarkError('INTERNAL', `A database operation failed${code}.`, { cause: error });
}
