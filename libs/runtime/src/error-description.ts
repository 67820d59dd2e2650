import { TidemarkError } from '@tidemark/model';

/** An error as the log shows it. */
export interface ErrorDescription {
  readonly type: string;
  readonly reason?: string;
  readonly code?: string | number;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: ErrorDescription;
}

const LONGEST_CHAIN = 5;
const WITHHELD = '(message withheld: it may quote data)';

/**
 * Describes anything thrown, with its chain of causes, for the log.
 *
 * Drivers and parsers quote the data they choke on, so a message is shown only where it is known to carry none: our own
 * errors, errors of the operating system, and mistakes that V8 itself reports. For the rest type, code and stack must do.
 */
export function describeError(error: unknown, depth = 1): ErrorDescription {
  if (!(error instanceof Error)) {
    return { type: typeof error, message: WITHHELD };
  }
  const code = 'code' in error && isCode(error.code) ? error.code : undefined;
  const stack = framesOf(error);
  return {
    type: error.name,
    ...(error instanceof TidemarkError ? { reason: error.reason } : {}),
    ...(code === undefined ? {} : { code }),
    message: isSafeToShow(error) ? error.message : WITHHELD,
    ...(stack === '' ? {} : { stack }),
    ...(error.cause === undefined || depth >= LONGEST_CHAIN
      ? {}
      : { cause: describeError(error.cause, depth + 1) }),
  };
}

function isCode(code: unknown): code is string | number {
  return typeof code === 'number' || (typeof code === 'string' && /^\w{1,64}$/.test(code));
}

function isSafeToShow(error: Error): boolean {
  if (error instanceof TidemarkError || 'syscall' in error) {
    return true;
  }
  const isV8s = error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError;
  return isV8s && !('code' in error);
}

/** The stack without its head, which repeats the message. */
function framesOf(error: Error): string {
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return frames.map((line) => line.trim()).join('\n');
}
