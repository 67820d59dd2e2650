import {
  LONGEST_BLOCKED_WAIT_MS,
  type BudgetAnswer,
  type BudgetKind,
  type RateBudget,
} from '@tidemark/model';
import type { Logger } from '@tidemark/runtime';
import type { RateAccount, RateBudgets } from './rate-budgets.js';

/** What one call takes at most, lest much of it lies unused where others wait. */
const MOST_AT_ONCE = 10;
/** How long it may take until a process notices what a source told another one. */
const KNOWN_MS = 1_000;
const KNOWN_ACCOUNTS = 1_000;
/** So short a rest of a wait is not worth breaking a read off for. */
const SHORT_MS = 500;
const LONGEST_BLOCK_MS = 86_400_000;

/** Who asks. */
export interface Claimant {
  readonly id: string;
  readonly kind: BudgetKind;
}

/** One process's way to the rate budgets: asks the database no oftener than it has to. */
export class Pacer {
  /** When the sources' waits end, by this process's clock, as far as it looked. */
  private readonly known = new Map<string, { readonly checked: number; readonly until: number }>();
  private readonly leaving = new Set<Promise<void>>();

  constructor(
    private readonly budgets: RateBudgets,
    private readonly logger: Logger,
  ) {}

  /** Whether requests may be made: those that are left of a grant, or a new grant; 0 for an account without a budget. */
  async ask({ id, budget }: RateAccount, claimant: Claimant, left: number): Promise<BudgetAnswer> {
    if (budget !== undefined && left === 0)
      return this.budgets.take(id, budget, { ...claimant, requests: atOnce(budget) });
    const blockedMs = await this.blockedMs(id);
    return blockedMs > 0
      ? { granted: 0, waitMs: Math.ceil(Math.min(blockedMs, LONGEST_BLOCKED_WAIT_MS)), cause: 'SOURCE' }
      : { granted: left };
  }

  /** Whether a read that is under way has to break off because the source wants no requests. */
  async isBlocked({ id }: RateAccount): Promise<boolean> {
    return (await this.blockedMs(id)) > SHORT_MS;
  }

  /** The source asked to wait: holds for all who read with its credentials, in all processes. */
  async block({ id }: RateAccount, ms: number): Promise<void> {
    if (!(ms > 0)) return;
    const bounded = Math.min(ms, LONGEST_BLOCK_MS);
    await this.budgets.block(id, bounded);
    const until = Math.max(performance.now() + bounded, this.known.get(id)?.until ?? 0);
    this.learn(id, until);
  }

  /** Requests were made beyond those granted. */
  async charge({ id }: RateAccount, claimant: Claimant, requests: number): Promise<void> {
    await this.budgets.settle(id, claimant.id, requests);
  }

  /** Gives back what is left of a grant, and the place in the queue; goes on in the background. */
  leave({ id, budget }: RateAccount, claimant: Claimant, left: number): void {
    if (budget === undefined) return;
    const settled = this.budgets
      .settle(id, claimant.id, -left)
      .catch((error: unknown) => this.logger.debug({ error }, 'unused requests are not given back'))
      .finally(() => this.leaving.delete(settled));
    this.leaving.add(settled);
  }

  /** Resolves when nothing goes on in the background. */
  async close(): Promise<void> {
    await Promise.all(this.leaving);
  }

  private async blockedMs(id: string): Promise<number> {
    const known = this.known.get(id);
    if (known !== undefined && performance.now() - known.checked < KNOWN_MS)
      return Math.max(0, known.until - performance.now());
    const blockedMs = await this.budgets.blockedMs(id);
    this.learn(id, performance.now() + blockedMs);
    return blockedMs;
  }

  private learn(id: string, until: number): void {
    if (this.known.size >= KNOWN_ACCOUNTS) this.known.clear();
    this.known.set(id, { checked: performance.now(), until });
  }
}

/** About a second's worth. */
function atOnce({ requestsPerMinute, burst }: RateBudget): number {
  return Math.max(1, Math.min(MOST_AT_ONCE, burst, Math.floor(requestsPerMinute / 60)));
}
