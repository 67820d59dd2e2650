import { FairRuns, type RunLimits } from '@tidemark/model';
import type { Run } from './run.js';
import type { Runs } from './runs.js';

/** How long places that become free are filled from what was seen. */
const GOOD_FOR_MS = 250;
/** A claim is a few round trips in sequence. */
const CLAIMS_AT_ONCE = 4;

/** Starts a run; false if that is not possible now. */
type Claim = (run: Run) => Promise<boolean>;

/**
 * The runs that wait, as they were last looked at. With a thousand of them a look takes its time, so not every run that ends or is
 * asked for leads to one: whose place becomes free is given to one of those that were seen.
 */
export class WaitingRuns {
  private fair: FairRuns<Run> | undefined;
  private seenAt = -Infinity;
  private tookMs = 0;
  /** Runs that are being claimed. */
  claiming = 0;
  /** Others were asked for since, which may go first. */
  private outdated = false;
  /** One ended since, beside which others of its connection had to wait. */
  private freed = false;
  /** When each tenant's run was last started, as a count. */
  private readonly served = new Map<string, number>();

  constructor(
    private readonly runs: Pick<Runs, 'due'>,
    private readonly limits: RunLimits,
  ) {}

  /** Others may wait by now. */
  changed(): void {
    this.outdated = true;
  }

  /** A run of this process ended. */
  ended(run: Run): void {
    this.fair?.ended(run);
    this.freed = true;
  }

  /**
   * Claims runs of those that were seen of late, a few at once, while there is a slot; whether one was started. Each takes up its
   * place until it `ended`. Throws what a claim throws, once all have come to an end.
   */
  async start(claim: Claim, hasSlot: () => boolean): Promise<boolean> {
    const some = Array.from({ length: CLAIMS_AT_ONCE }, () => this.startSome(claim, hasSlot));
    const results = await Promise.allSettled(some);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    return results.some((result) => result.status === 'fulfilled' && result.value);
  }

  private async startSome(claim: Claim, hasSlot: () => boolean): Promise<boolean> {
    let isAny = false;
    while (hasSlot()) {
      const { fair } = this;
      const run = this.age < GOOD_FOR_MS ? fair?.next() : undefined;
      if (fair === undefined || run === undefined) break;
      fair.trying(run);
      this.claiming++;
      let isStarted = false;
      try {
        isStarted = await claim(run);
      } finally {
        this.claiming--;
        if (isStarted) fair.started(run);
        else fair.ended(run);
      }
      isAny ||= isStarted;
    }
    return isAny;
  }

  /** Whether some wait that were not seen. */
  get isOutdated(): boolean {
    return this.outdated;
  }

  /** Whether they have to be looked at before one is started. Looks take no more than half of the time. */
  get needsLook(): boolean {
    return this.age >= (this.outdated ? this.tookMs : this.freed ? GOOD_FOR_MS : 0);
  }

  /** In how many milliseconds they are to be looked at once more, even if nothing happens; undefined: not before something does. */
  get nextLookMs(): number | undefined {
    if (!this.outdated && !this.freed) return undefined;
    return Math.max(1, (this.outdated ? this.tookMs : GOOD_FOR_MS) - this.age);
  }

  /** Looks at those that wait; `running` gives those that run. */
  async look(running: () => Promise<readonly Run[]>): Promise<void> {
    const began = performance.now();
    this.fair = undefined;
    this.outdated = this.freed = false;
    const others = await running();
    this.fair = new FairRuns(await this.runs.due(new Date()), others, this.limits, this.served);
    this.seenAt = performance.now();
    this.tookMs = Math.min(GOOD_FOR_MS, this.seenAt - began);
    // One that ended meanwhile may have been counted.
    if (this.freed) this.outdated = true;
  }

  private get age(): number {
    return performance.now() - this.seenAt;
  }
}
