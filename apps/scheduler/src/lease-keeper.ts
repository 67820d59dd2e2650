import { renewalInterval, TidemarkError } from '@tidemark/model';
import type { Logger } from '@tidemark/runtime';
import type { Leases, OwnedLease } from './leases.js';

/** Renews a lease while work goes on under it, and aborts that work when it is lost. */
export class LeaseKeeper {
  private readonly loss = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private renewing: Promise<void> = Promise.resolve();

  constructor(
    private readonly leases: Leases,
    private current: OwnedLease,
    private readonly leaseMs: number,
    private readonly logger: Logger,
  ) {
    this.schedule();
  }

  /** Aborts with LEASE_LOST. */
  get signal(): AbortSignal {
    return this.loss.signal;
  }

  get lease(): OwnedLease {
    return this.current;
  }

  /** Ends the renewals and gives the lease back, unless it is lost. */
  async release(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    await this.renewing;
    clearTimeout(this.timer);
    if (!this.loss.signal.aborted) await this.leases.release(this.current);
  }

  private schedule(): void {
    this.timer = setTimeout(() => {
      this.renewing = this.renew();
    }, renewalInterval(this.leaseMs));
  }

  private async renew(): Promise<void> {
    try {
      const renewed = await this.beforeDeadline(this.leases.renew(this.current));
      if (renewed === undefined) return this.lose();
      this.current = renewed;
    } catch (error) {
      this.logger.warn({ error }, 'a lease could not be renewed');
    }
    if (performance.now() >= this.current.deadline) return this.lose();
    this.schedule();
  }

  /** A database that does not answer must not keep the work going beyond the lease. */
  private async beforeDeadline<T>(renewal: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const left = Math.max(0, this.current.deadline - performance.now());
      timer = setTimeout(
        () => reject(new TidemarkError('DATABASE_UNAVAILABLE', 'the lease ran out before it was renewed')),
        left,
      );
    });
    try {
      return await Promise.race([renewal, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  private lose(): void {
    this.loss.abort(new TidemarkError('LEASE_LOST', 'another process took the run over'));
  }
}
