import type { Change, WatchChangesResponse } from '@tidemark/contracts';
import { forTenant } from '@tidemark/rpc';
import type { StoreHarness } from './harness.js';

/** A watch whose responses are collected in the background. */
export interface Followed {
  readonly responses: readonly WatchChangesResponse[];
  /** All changes so far. */
  changes: () => Change[];
  /** Resolves at its end, with the error that ended it. */
  readonly ended: Promise<unknown>;
  /** Resolves when a condition holds; the test's own time limit bounds it. */
  until: (done: () => boolean) => Promise<void>;
  stop: () => Promise<unknown>;
}

/** Starts to watch. */
export function follow(
  harness: StoreHarness,
  request: Parameters<StoreHarness['reading']['watchChanges']>[0],
): Followed {
  const abort = new AbortController();
  const responses: WatchChangesResponse[] = [];
  const ended = (async () => {
    const stream = harness.reading.watchChanges(request, {
      metadata: forTenant('acme'),
      signal: abort.signal,
    });
    for await (const response of stream) responses.push(response);
  })().catch((error: unknown) => error);
  return {
    responses,
    changes: () => responses.flatMap((response) => response.changes),
    ended,
    until: async (done) => {
      while (!done()) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    stop: async () => {
      abort.abort();
      return ended;
    },
  };
}
