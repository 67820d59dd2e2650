import { isDatabaseFailure, toTidemarkError } from '@tidemark/mongo';
import type { ServerMiddleware } from '@tidemark/rpc';

/** Tells callers of a database that does not answer as DATABASE_UNAVAILABLE, so that they try again. */
export const databaseErrors: ServerMiddleware = async function* (call, context) {
  try {
    return yield* call.next(call.request, context);
  } catch (error) {
    throw isDatabaseFailure(error) ? toTidemarkError(error) : error;
  }
};
