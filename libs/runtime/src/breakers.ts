import { createBreaker, type Breaker, type BreakerOptions } from './breaker.js';

const DEFAULT_LIMIT = 1_000;

/** One breaker per key, made on first use. Beyond the limit the longest unused makes room, closed and idle ones first. */
export class Breakers {
  /** In order of use: a Map keeps the order of insertion. */
  private readonly breakers = new Map<string, Breaker>();

  constructor(
    private readonly options: BreakerOptions,
    private readonly limit: number = DEFAULT_LIMIT,
  ) {}

  /** The breaker of this key. */
  get(key: string): Breaker {
    const known = this.breakers.get(key);
    if (known === undefined) {
      this.makeRoom();
    }
    const breaker = known ?? createBreaker(key, this.options);
    this.breakers.delete(key);
    this.breakers.set(key, breaker);
    return breaker;
  }

  /** The breaker of this key if there is one now; not a use of it. */
  peek(key: string): Breaker | undefined {
    return this.breakers.get(key);
  }

  /** Every breaker there is now, for showing their states. */
  list(): readonly Breaker[] {
    return [...this.breakers.values()];
  }

  /** Ends all timers. */
  shutdown(): void {
    for (const breaker of this.breakers.values()) {
      breaker.shutdown();
    }
    this.breakers.clear();
  }

  private makeRoom(): void {
    if (this.breakers.size < this.limit) {
      return;
    }
    const all = this.list();
    const unused = all.find(({ state, inFlight }) => state === 'closed' && inFlight === 0) ?? all[0];
    if (unused !== undefined) {
      unused.shutdown();
      this.breakers.delete(unused.name);
    }
  }
}
