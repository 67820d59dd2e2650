import { SyncRunState, type SyncRun } from '@tidemark/contracts';
import { fit, printable, widthOf } from './printable.js';
import { enumName } from './json.js';
import { formatCount, formatSeconds } from './time.js';

/** The rate is that of so many milliseconds before now. */
const WINDOW_MS = 10_000;
const BAR_WIDTH = 14;
const NAME_WIDTH = 16;

interface Sample {
  readonly at: number;
  readonly read: number;
}

/** Follows one run's progress: what share is read, how fast, and how long the rest takes. */
export class RunMeter {
  private samples: Sample[] = [];

  constructor(private run: SyncRun) {}

  /** Takes a run's newest state; `now` in milliseconds. */
  update(run: SyncRun, now: number): void {
    this.run = run;
    const read = Number(run.counters?.read ?? 0n);
    const started = this.samples.at(-1);
    // A run that starts over counts from nothing again.
    const kept = started !== undefined && read < started.read ? [] : this.samples;
    this.samples = [...kept.filter(({ at }) => at >= now - WINDOW_MS), { at: now, read }];
  }

  /** Records a second; undefined while nothing can be said. */
  get rate(): number | undefined {
    const [first, last] = [this.samples[0], this.samples.at(-1)];
    if (first === undefined || last === undefined || last.at === first.at || last.read === first.read) {
      return undefined;
    }
    return ((last.read - first.read) * 1000) / (last.at - first.at);
  }

  /** Share of the records read, 0 to 1; undefined while the whole is not known. */
  get share(): number | undefined {
    if (this.run.state === SyncRunState.SUCCEEDED) {
      return 1;
    }
    const { expected } = this;
    return expected === undefined ? undefined : Number(this.run.counters?.read ?? 0n) / Number(expected);
  }

  /** Records that the run will read, by what the model last held; undefined when it holds more by now. */
  private get expected(): bigint | undefined {
    const { counters, expectedRecords = 0n } = this.run;
    return expectedRecords > 0n && (counters?.read ?? 0n) <= expectedRecords ? expectedRecords : undefined;
  }

  /** One line with a bar, at most `width` columns. */
  barLine(width: number): string {
    const share = this.share;
    const filled = Math.round((share ?? 0) * BAR_WIDTH);
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
    const percent = share === undefined ? '   ?' : `${String(Math.floor(share * 100)).padStart(3)}%`;
    const name = fit(printable(this.run.model), NAME_WIDTH);
    const padded = name + ' '.repeat(NAME_WIDTH - widthOf(name));
    return fit(`${padded} ${bar} ${percent}  ${this.describe(false)}`, width);
  }

  /** The same without a bar, for logs. */
  plainLine(): string {
    const share = this.share;
    const percent = share === undefined ? '' : ` (${String(Math.floor(share * 100))}%)`;
    return printable(`${this.run.connectionId} ${this.run.model}: ${this.describe(true)}${percent}`);
  }

  private describe(inFull: boolean): string {
    const { counters, state } = this.run;
    const read = counters?.read ?? 0n;
    const expected = state === SyncRunState.SUCCEEDED ? undefined : this.expected;
    const of = expected === undefined ? '' : ` of ${formatCount(expected)}`;
    const count = `${formatCount(read)}${of} read`;
    // A bar that moves says by itself that the run is running.
    const isPlain = !inFull && state === SyncRunState.RUNNING;
    const parts = [isPlain ? count : `${enumName(SyncRunState, state).toLowerCase()}, ${count}`];
    const rate = this.rate;
    if (state === SyncRunState.RUNNING && rate !== undefined) {
      parts.push(`${formatCount(Math.round(rate))}/s`);
      const left = expected === undefined ? 0 : Number(expected - read);
      if (left > 0) {
        parts.push(`${formatSeconds(left / rate)} left`);
      }
    }
    return parts.join(', ');
  }
}
