import { isSettled, TidemarkError, type SyncRunState } from '@tidemark/model';
import { delay } from '@tidemark/runtime';
import type { Run } from './run.js';
import type { RunActions } from './run-actions.js';

const LOOK_MS = 250;
const SIGN_OF_LIFE_MS = 10_000;
const MAX_WATCHERS = 500;

/** Follows runs for those who watch them. */
export class RunWatches {
  private watchers = 0;
  /** By run: what those who watch it wait for besides time. */
  private readonly waiting = new Map<string, Set<AbortController>>();

  constructor(private readonly runs: Pick<RunActions, 'find'>) {}

  /**
   * A run each time it changes, at most four times a second and at least every 10 s, until it is settled, which is told at once
   * where `moved` is, or the signal aborts. Throws RUN_NOT_FOUND, and LIMIT_EXCEEDED beyond 500 watchers of this process.
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

  /** A run came into a state: those who watch it need not wait for their next look if it is settled. */
  moved(id: string, state: SyncRunState): void {
    if (isSettled(state)) for (const wait of this.waiting.get(id) ?? []) wait.abort();
  }

  private async *follow(tenantId: string, id: string, signal: AbortSignal): AsyncGenerator<Run> {
    let shown: number | undefined;
    let shownAt = 0;
    while (!signal.aborted) {
      // From before the look on: the run may settle meanwhile.
      const settled = this.expectEnd(id);
      try {
        const run = await this.runs.find(tenantId, id);
        if (run.revision !== shown || performance.now() - shownAt >= SIGN_OF_LIFE_MS) {
          yield run;
          shown = run.revision;
          shownAt = performance.now();
        }
        if (isSettled(run.state)) return;
        await pause(settled.signal, signal);
      } finally {
        this.forget(id, settled);
      }
    }
  }

  private expectEnd(id: string): AbortController {
    const settled = new AbortController();
    const waiting = this.waiting.get(id) ?? new Set();
    this.waiting.set(id, waiting.add(settled));
    return settled;
  }

  private forget(id: string, settled: AbortController): void {
    const waiting = this.waiting.get(id);
    waiting?.delete(settled);
    if (waiting?.size === 0) this.waiting.delete(id);
  }
}

/** Until it is time for the next look, or the run settled. Throws when the signal aborts. */
async function pause(settled: AbortSignal, signal: AbortSignal): Promise<void> {
  try {
    await delay(LOOK_MS, AbortSignal.any([settled, signal]));
  } catch (error) {
    if (!settled.aborted || signal.aborted) throw error;
  }
}
