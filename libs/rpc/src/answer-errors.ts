import { isTidemarkError, TidemarkError, type ErrorReason } from '@tidemark/model';
import { ServerError, Status, type CallContext, type ServerMiddleware } from 'nice-grpc-common';
import type { RpcLogger } from './logger.js';
import { codeOf } from './reason.js';
import { isAbortError, toStatus } from './status.js';

/** Answers every failure of a handler with its status, and logs it once, at a level that follows from its kind. */
export function answerErrors(logger: RpcLogger): ServerMiddleware {
  return async function* (call, context) {
    try {
      return yield* call.next(call.request, context);
    } catch (failure) {
      throw answer(failure, call.method.path, context, logger);
    }
  };
}

function answer(failure: unknown, method: string, context: CallContext, logger: RpcLogger): ServerError {
  if (failure instanceof ServerError) {
    // Already a status: relayed from another service, or from the health service.
    return failure;
  }
  const gone = context.signal.aborted;
  const status = toStatus(gone && isAbort(failure) ? cancelled(failure) : failure);
  const level = gone || isLoggedElsewhere(failure) ? 'debug' : levelOf(status.error.reason);
  const { reason, metadata } = status.error;
  const reference = metadata['reference'];
  // A caller's own fault needs no stack, and must not let callers fill the log.
  const error = level === 'info' ? undefined : failure;
  logger[level]({ method, reason, reference, error }, 'call failed');
  for (const [key, values] of status.trailer) {
    context.trailer.set(key, values);
  }
  return new ServerError(status.code, status.details);
}

function isAbort(failure: unknown): boolean {
  return isAbortError(failure) || isTidemarkError(failure, 'CANCELLED');
}

function cancelled(cause: unknown): TidemarkError {
  return new TidemarkError('CANCELLED', 'the caller cancelled the call', { cause });
}

/** An unknown failure of another service: its reference leads to that service's log. */
function isLoggedElsewhere(failure: unknown): boolean {
  return isTidemarkError(failure, 'INTERNAL') && failure.metadata['reference'] !== undefined;
}

function levelOf(reason: ErrorReason): 'debug' | 'info' | 'warn' | 'error' {
  switch (codeOf(reason)) {
    case Status.INTERNAL:
      return 'error';
    case Status.UNAVAILABLE:
    case Status.DEADLINE_EXCEEDED:
      return 'warn';
    case Status.UNAUTHENTICATED:
    case Status.PERMISSION_DENIED:
      return 'info';
    default:
      return 'debug';
  }
}
