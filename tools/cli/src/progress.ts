import type { SyncRun } from '@tidemark/contracts';
import type { Output } from './output.js';
import { RunMeter } from './run-meter.js';

const PLAIN_INTERVAL_MS = 5_000;
const REPAINT_INTERVAL_MS = 100;

/** Shows runs while they go on: bars that are painted over on a terminal, now and then a line elsewhere. */
export class Progress {
  private readonly meters = new Map<string, RunMeter>();
  private readonly said = new Map<string, { readonly at: number; readonly state: SyncRun['state'] }>();
  private paintedLines = 0;
  private paintedAt = 0;

  constructor(
    private readonly output: Output,
    private readonly now: () => number = Date.now,
  ) {}

  /** Takes a run's newest state and shows it. */
  async update(run: SyncRun): Promise<void> {
    const now = this.now();
    const meter = this.meters.get(run.id) ?? new RunMeter(run);
    this.meters.set(run.id, meter);
    meter.update(run, now);
    if (!this.output.isTerminal) {
      await this.say(run, meter, now);
    } else if (now - this.paintedAt >= REPAINT_INTERVAL_MS) {
      await this.paint(now);
    }
  }

  /** Shows the last state of every run and leaves it standing. */
  async end(): Promise<void> {
    if (this.output.isTerminal) {
      await this.paint(this.now());
      this.paintedLines = 0;
    }
  }

  private async say(run: SyncRun, meter: RunMeter, now: number): Promise<void> {
    const before = this.said.get(run.id);
    if (before === undefined || before.state !== run.state || now - before.at >= PLAIN_INTERVAL_MS) {
      this.said.set(run.id, { at: now, state: run.state });
      await this.output.lines([meter.plainLine()]);
    }
  }

  private async paint(now: number): Promise<void> {
    this.paintedAt = now;
    // More lines than the terminal has could not be painted over.
    const meters = [...this.meters.values()].slice(-Math.max(1, this.output.height - 2));
    const up = this.paintedLines === 0 ? '' : `\u001b[${String(this.paintedLines)}A`;
    const lines = meters.map((meter) => `\u001b[2K${meter.barLine(this.output.width - 1)}\n`);
    this.paintedLines = lines.length;
    await this.output.write(up + lines.join(''));
  }
}
