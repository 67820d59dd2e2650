import { TidemarkError } from '@tidemark/model';

/** System errors that pass by themselves: the source is out of reach or the machine out of means for now. */
const OUTAGES = new Set([
  'EAGAIN',
  'EAI_AGAIN',
  'EBUSY',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'EIO',
  'EMFILE',
  'ENETDOWN',
  'ENETUNREACH',
  'ENFILE',
  'ENOTFOUND',
  'EPIPE',
  'ESTALE',
  'ETIMEDOUT',
]);

/** The system's code of a failure (`ENOENT`), if it has one. */
export function systemCode(error: unknown): string | undefined {
  // By shape: the system's errors may be of another realm's Error class.
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Sorts what a connector threw: TidemarkErrors stay, outages become SOURCE_UNAVAILABLE, the rest is unknown. */
export function sortSourceError(error: unknown): unknown {
  const code = systemCode(error);
  if (error instanceof TidemarkError || code === undefined || !OUTAGES.has(code)) return error;
  return new TidemarkError(
    'SOURCE_UNAVAILABLE',
    `the source could not be read (${code}); it is tried again`,
    {
      cause: error,
    },
  );
}
