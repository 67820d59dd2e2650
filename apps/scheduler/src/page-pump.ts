import type { Page, ReadEnd, SourceWait } from '@tidemark/contracts';
import { TidemarkError } from '@tidemark/model';
import { fromDuration } from './connection-messages.js';
import type { Hold, PacedResponse } from './paced-read.js';

/** What takes the pages of a read. */
export interface PageSink {
  /** Commits a page; the page after it is received meanwhile. */
  commit(page: Page): Promise<void>;
  /** The source asked to wait. */
  wait(wait: SourceWait): void;
  /** The read waits by itself before it asks the source for more. */
  hold(hold: Hold): void;
}

/** How a read ended: with the connector's closing message, or at a page boundary because it was asked to stop. */
export type PumpResult = { readonly end: ReadEnd } | { readonly stopped: true };

/**
 * Carries pages from a read to a sink, in order, one at a time, holding at most one page ahead. Stops between two pages when
 * `stop` aborts, also while it waits for the source; a commit under way is waited for. Throws SOURCE_UNAVAILABLE for a stream
 * that ends without its closing message: it has told nothing about what it did not send. Throws it as well for a source that sends
 * nothing for `silenceMs`, beyond what it asked to wait.
 */
export async function pumpPages(
  messages: AsyncIterator<PacedResponse>,
  sink: PageSink,
  stop: AbortSignal,
  silenceMs: number,
): Promise<PumpResult> {
  let patience = silenceMs;
  let next = receive(messages);
  for (;;) {
    const result = await orStop(next, stop, patience);
    if (result === undefined) return { stopped: true };
    if (result.done === true)
      throw new TidemarkError('SOURCE_UNAVAILABLE', 'the read broke off before its end; it is tried again');
    const message = result.value.message;
    switch (message?.$case) {
      case 'page':
        next = receive(messages);
        await sink.commit(message.value);
        patience = silenceMs;
        break;
      case 'wait':
        next = receive(messages);
        sink.wait(message.value);
        patience =
          silenceMs + (message.value.duration === undefined ? 0 : fromDuration(message.value.duration));
        break;
      case 'hold':
        next = receive(messages);
        sink.hold(message.value);
        patience = silenceMs + message.value.ms;
        break;
      case 'end':
        return { end: message.value };
      case undefined:
        throw new TidemarkError(
          'SOURCE_CONTRACT_BROKEN',
          'the connector sent a message that this version does not know',
        );
    }
    if (stop.aborted) return { stopped: true };
  }
}

/** Asks for the next message. It may fail before anybody waits for it: then whoever waits in the end is told. */
function receive(messages: AsyncIterator<PacedResponse>): Promise<IteratorResult<PacedResponse>> {
  const next = messages.next();
  next.catch(() => undefined);
  return next;
}

/** The next message; undefined if `stop` aborts before it is there. */
function orStop(
  next: Promise<IteratorResult<PacedResponse>>,
  stop: AbortSignal,
  patienceMs: number,
): Promise<IteratorResult<PacedResponse> | undefined> {
  if (stop.aborted) return Promise.resolve(undefined);
  let release = (): void => undefined;
  const first = new Promise<IteratorResult<PacedResponse> | undefined>((resolve, reject) => {
    const onStop = (): void => resolve(undefined);
    const timer = setTimeout(() => {
      reject(
        new TidemarkError('SOURCE_UNAVAILABLE', 'the source sent nothing for too long; it is tried again'),
      );
    }, patienceMs);
    stop.addEventListener('abort', onStop, { once: true });
    release = () => {
      clearTimeout(timer);
      stop.removeEventListener('abort', onStop);
    };
    next.then(resolve, reject);
  });
  return first.finally(release);
}
