import type { Logger } from '@tidemark/runtime';
import type { Run } from './run.js';
import type { RunPatch, Runs } from './runs.js';

const INTERVAL_MS = 500;

/** What a progress writer tells its run's work. */
export interface ProgressListener {
  /** A person asked for something. */
  onRequest(request: 'PAUSE' | 'CANCEL'): void;
  /** The run is no longer this process's. */
  onLost(): void;
  /** With each turn. */
  onTurn(): Promise<void>;
}

/** Writes a run's progress twice a second at most, and learns on the way what a person asked of it. */
export class RunProgress {
  private pending: RunPatch = {};
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly runs: Runs,
    private readonly run: Run,
    private readonly listener: ProgressListener,
    private readonly logger: Logger,
  ) {}

  start(): void {
    this.timer = setTimeout(() => {
      this.writing = this.write().finally(() => {
        if (this.timer !== undefined) this.start();
      });
    }, INTERVAL_MS);
  }

  /** Notes progress, to be written with the next turn. */
  report(patch: RunPatch): void {
    this.pending = { ...this.pending, ...patch };
  }

  /** Ends the writing; gives back what was not written yet. */
  async stop(): Promise<RunPatch> {
    clearTimeout(this.timer);
    this.timer = undefined;
    await this.writing;
    return this.pending;
  }

  private async write(): Promise<void> {
    const patch = this.pending;
    this.pending = {};
    try {
      const run = await this.runs.progress(this.run, patch);
      if (run === undefined) this.listener.onLost();
      else if (run.request !== undefined) this.listener.onRequest(run.request);
      else await this.listener.onTurn();
    } catch (error) {
      // Progress is for show; it is written with the next turn. The lease notices a database that stays away.
      this.pending = { ...patch, ...this.pending };
      this.logger.debug({ error }, 'progress could not be written');
    }
  }
}
