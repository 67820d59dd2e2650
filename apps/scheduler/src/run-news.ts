import type { SyncRunState } from '@tidemark/model';

/** So long a run that waits is left to the process that it was asked of. */
const HEAD_START_MS = 25;

/** Tells of runs that wait and that nobody has taken: those are work for other processes than the one they were asked of. */
export class RunNews {
  private readonly waiting = new Set<string>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly onWaiting: () => void) {}

  /** A run came into a state, in whatever process. */
  moved(id: string, state: SyncRunState): void {
    if (state !== 'WAITING') {
      this.waiting.delete(id);
      return;
    }
    this.waiting.add(id);
    this.timer ??= setTimeout(() => this.tell(), HEAD_START_MS);
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private tell(): void {
    this.timer = undefined;
    if (this.waiting.size === 0) return;
    this.waiting.clear();
    this.onWaiting();
  }
}
