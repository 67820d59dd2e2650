import { isSettled, TidemarkError } from '@tidemark/model';
import { delay } from '@tidemark/runtime';
import type { Run } from './run.js';
import type { RunActions } from './run-actions.js';

const LOOK_MS = 250;
const SIGN_OF_LIFE_MS = 10_000;
const MAX_WATCHERS = 500;

/** Follows runs for those who watch them. */
export class RunWatches {
  private watchers = 0;

  constructor(private readonly runs: Pick<RunActions, 'find'>) {}

  /**
   * A run each time it changes, at most four times a second and at least every 10 s, until it is settled or the signal
   * aborts. Throws RUN_NOT_FOUND, and LIMIT_EXCEEDED beyond 500 watchers of this process.
   */
  async *watch(tenantId: string, id: string, signal: AbortSignal): AsyncGenerator<Run> {
    if (this.watchers >= MAX_WATCHERS) {
      throw new TidemarkError(
        'LIMIT_EXCEEDED',
        `more than ${MAX_WATCHERS} runs are being watched; try again later`,
      );
    }
    this.watchers += 1;
    try {
      yield* this.follow(tenantId, id, signal);
    } finally {
      this.watchers -= 1;
    }
  }

  private async *follow(tenantId: string, id: string, signal: AbortSignal): AsyncGenerator<Run> {
    let shown: number | undefined;
    let shownAt = 0;
    while (!signal.aborted) {
      const run = await this.runs.find(tenantId, id);
      if (run.revision !== shown || performance.now() - shownAt >= SIGN_OF_LIFE_MS) {
        yield run;
        shown = run.revision;
        shownAt = performance.now();
      }
      if (isSettled(run.state)) return;
      await delay(LOOK_MS, signal);
    }
  }
}
