import { isTidemarkError, TidemarkError } from '@tidemark/model';
import { toTidemarkError } from '@tidemark/mongo';
import type { ServerMiddleware } from '@tidemark/rpc';

/** Any failure as a TidemarkError: the driver's by what they mean, unknown ones as INTERNAL with the cause for the log. */
export function asTidemarkError(failure: unknown): TidemarkError {
  if (isTidemarkError(failure)) return failure;
  if (isDriverError(failure)) return toTidemarkError(failure);
  return new TidemarkError('INTERNAL', 'an unexpected failure; its cause is in the log of the scheduler', {
    cause: failure,
  });
}

/** Answers calls that met an outage of the database with DATABASE_UNAVAILABLE. */
export const databaseErrors: ServerMiddleware = async function* (call, context) {
  try {
    return yield* call.next(call.request, context);
  } catch (error) {
    throw isDriverError(error) ? toTidemarkError(error) : error;
  }
};

function isDriverError(failure: unknown): failure is Error {
  return failure instanceof Error && failure.name.startsWith('Mongo');
}
