import { TidemarkError } from '@tidemark/model';
import type { CallContext, ServerMiddleware } from 'nice-grpc-common';
import type { RpcLogger } from './logger.js';

/** Ends what would otherwise never end when a server stops. */
export interface OpenStreams {
  /** Aborts when the server begins to stop. */
  readonly stopping: AbortSignal;
  /** Ends every open stream with SERVICE_UNAVAILABLE at once, whether its handler listens or not. */
  end(): void;
  /** Must wrap every service of the server. Gives streams a `context.signal` that also aborts at the end. */
  readonly middleware: ServerMiddleware;
}

/** Tracks the open streams of one server. */
export function trackStreams(logger: RpcLogger): OpenStreams {
  const stopping = new AbortController();
  const open = new Set<StreamEnd>();
  const middleware: ServerMiddleware = async function* (call, context) {
    if (stopping.signal.aborted) {
      throw stopped();
    }
    if (!call.responseStream) {
      return yield* call.next(call.request, context);
    }
    const end = new StreamEnd(context);
    open.add(end);
    try {
      yield* end.guard(call.next(call.request, { ...context, signal: end.signal }), logger);
    } finally {
      open.delete(end);
      end.unlink();
    }
  };
  const end = () => {
    stopping.abort();
    open.forEach((stream) => stream.stop());
  };
  return { stopping: stopping.signal, end, middleware };
}

/** The end of one stream: its signal aborts with the caller's or with the server's stop. */
class StreamEnd {
  private readonly controller = new AbortController();
  private readonly abort = () => this.controller.abort();
  private stopRequested = false;
  private interrupt: ((error: TidemarkError) => void) | undefined;

  constructor(private readonly context: CallContext) {
    context.signal.addEventListener('abort', this.abort);
    if (context.signal.aborted) {
      this.abort();
    }
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  stop(): void {
    this.stopRequested = true;
    // Before the abort, so that the caller gets this error rather than what the handler makes of the abort.
    this.interrupt?.(stopped());
    this.abort();
  }

  unlink(): void {
    this.context.signal.removeEventListener('abort', this.abort);
  }

  async *guard<T>(
    source: AsyncGenerator<T, void, undefined>,
    logger: RpcLogger,
  ): AsyncGenerator<T, void, undefined> {
    try {
      for (let next = await this.next(source); next.done !== true; next = await this.next(source)) {
        yield next.value;
      }
    } finally {
      const ended = source.return();
      if (this.stopRequested) {
        // Not awaited: a handler that ignores its signal must not hold up the stop.
        ended.catch((error: unknown) => logger.debug({ error }, 'a stream failed while it was being ended'));
      } else {
        await ended;
      }
    }
  }

  /** The source's next result, or SERVICE_UNAVAILABLE on stop. One promise each: racing a lasting one would leak. */
  private next<T>(source: AsyncGenerator<T, void, undefined>): Promise<IteratorResult<T, void>> {
    return new Promise((resolve, reject) => {
      if (this.stopRequested) {
        reject(stopped());
        return;
      }
      this.interrupt = reject;
      source.next().then(resolve, reject);
    });
  }
}

function stopped(): TidemarkError {
  return new TidemarkError('SERVICE_UNAVAILABLE', 'the service is stopping; try again');
}
