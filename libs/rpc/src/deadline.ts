import { TidemarkError } from '@tidemark/model';
import { Metadata, type CallOptions, type ClientMiddleware } from 'nice-grpc-common';

/** A call's own deadline. */
export interface DeadlineOptions {
  /** Milliseconds that the call may take, a stream included. Unset: the client's default, and no limit for a stream. */
  readonly deadlineMs?: number;
}

/** `grpc-timeout` has at most eight digits. */
const MAX_TIMEOUT_MS = 99_999_999;

/** Ends calls with DEADLINE_EXCEEDED, and tells the server when it may stop working. */
export function deadline(defaultUnaryMs: number): ClientMiddleware<DeadlineOptions> {
  return async function* (call, { deadlineMs, ...options }) {
    const limitMs = deadlineMs ?? (call.responseStream ? undefined : defaultUnaryMs);
    if (limitMs === undefined) {
      return yield* call.next(call.request, options);
    }
    const timer = startTimer(limitMs, options);
    const metadata = Metadata(options.metadata).set('grpc-timeout', `${toTimeout(limitMs)}m`);
    try {
      return yield* call.next(call.request, { ...options, metadata, signal: timer.signal });
    } catch (error) {
      if (timer.expired()) {
        const message = `${call.method.path.slice(1)} did not end within ${limitMs} ms`;
        throw new TidemarkError('DEADLINE_EXCEEDED', message, { cause: error });
      }
      throw error;
    } finally {
      timer.stop();
    }
  };
}

function toTimeout(milliseconds: number): number {
  return Math.min(MAX_TIMEOUT_MS, Math.max(1, Math.ceil(milliseconds)));
}

/** A signal that aborts with the caller's or after the limit. By hand: AbortSignal.any and .timeout outlive short calls. */
function startTimer(limitMs: number, { signal }: CallOptions) {
  const controller = new AbortController();
  const cancel = () => controller.abort();
  let expired = false;
  const timeout = setTimeout(() => {
    expired = true;
    cancel();
  }, toTimeout(limitMs));
  signal?.addEventListener('abort', cancel);
  if (signal?.aborted === true) {
    cancel();
  }
  const stop = () => {
    clearTimeout(timeout);
    signal?.removeEventListener('abort', cancel);
  };
  return { signal: controller.signal, expired: () => expired, stop };
}
