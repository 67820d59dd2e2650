import { TidemarkError, type FieldViolation } from '@tidemark/model';

/** A fault in what was typed or written for the command line; it ends with the exit code of a usage error. */
export function usageError(message: string, violations: readonly FieldViolation[] = []): TidemarkError {
  return new TidemarkError('REQUEST_INVALID', message, { violations });
}
