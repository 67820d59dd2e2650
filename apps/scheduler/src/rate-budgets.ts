import type { BudgetAnswer, BudgetClaim, RateBudget } from '@tidemark/model';

/** Credentials as the source counts their requests. */
export interface RateAccount {
  /** A keyed hash: equal for connections that share the credentials, and nothing can be learnt from it. */
  readonly id: string;
  /** What the connection lets itself do; absent: whatever the source lets it. */
  readonly budget?: RateBudget;
}

/** The rates of all accounts, shared by all processes and timed by the database's clock. */
export interface RateBudgets {
  /** Takes requests from an account's budget, or a place in its queue; see `takeRequests`. */
  take(account: string, budget: RateBudget, claim: BudgetClaim): Promise<BudgetAnswer>;
  /** Corrects what a claimant took by what it made beyond it, or, below 0, did not make; gives up its place in the queue. */
  settle(account: string, id: string, excess: number): Promise<void>;
  /** Keeps everybody from an account for some milliseconds, as its source asked. */
  block(account: string, ms: number): Promise<void>;
  /** For how many milliseconds more the source wants no requests of an account; 0: it takes them. */
  blockedMs(account: string): Promise<number>;
}
