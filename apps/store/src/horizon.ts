import { TidemarkError } from '@tidemark/model';

/** The error for a position older than what is kept. */
export function expired(): TidemarkError {
  const message = 'it is older than the changes kept; read in full, then go on from the cursor of that read';
  return new TidemarkError('CURSOR_EXPIRED', message);
}
