import { TidemarkError } from '@tidemark/model';
import CircuitBreaker from 'opossum';
import { reasonOf } from './delay.js';

const DEFAULT_WINDOW_MS = 60_000;
const WINDOW_BUCKETS = 10;
/** What a caller should wait while another call is probing. */
const PROBE_PAUSE_MS = 1_000;

/** Calls pass when closed, fail at once when open; when half open one call passes as a probe. */
export type BreakerState = 'closed' | 'open' | 'half-open';

/** When a breaker opens and closes. */
export interface BreakerOptions {
  /** A call that takes longer is aborted and counts as an outage; without bound by default. */
  readonly timeoutMs?: number;
  /** Fewer calls than this in the window never open the breaker. */
  readonly volumeThreshold: number;
  /** Opens when more than this share of the window's calls met an outage. */
  readonly errorThresholdPercentage: number;
  /** How long it stays open before it lets a probe through. */
  readonly resetTimeoutMs: number;
  /** The rolling window in milliseconds; 60,000 by default. */
  readonly windowMs?: number;
  /** Calls at once at most; without bound by default. A call that ignores its abort counts until it settles. */
  readonly maxInFlight?: number;
  /** True for errors that say that the other side is down; every other error is an answer from a side that is up. */
  isOutage(error: unknown): boolean;
  /** True for errors that say nothing about the other side, as those of something before it. By default none does. */
  saysNothing?(error: unknown): boolean;
  /** What a breaker guards, for a person: the beginning of a sentence. By default its name. */
  subject?(name: string): string;
}

/** A circuit breaker around calls to one other side. */
export interface Breaker {
  readonly name: string;
  readonly state: BreakerState;
  /** Calls that have not settled. */
  readonly inFlight: number;
  /** When the next probe is let through; undefined while it is closed. */
  readonly nextProbeTime: Date | undefined;
  /**
   * Runs `action` unless the breaker is open; the action's signal aborts at the timeout or with `signal`.
   * Throws CIRCUIT_OPEN, which says what is down and has the time of the next probe in `retryAfterMs`, DEADLINE_EXCEEDED at the timeout, LIMIT_EXCEEDED beyond `maxInFlight`.
   */
  run<T>(action: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Throws CIRCUIT_OPEN while no call would be let through, not even a probe. */
  demandNotOpen(): void;
  /** Counts an outage that showed after its call had succeeded, as in the middle of a stream. */
  reportOutage(): void;
  /** Ends its timers; it takes no calls afterwards. */
  shutdown(): void;
}

/** Makes a closed breaker. */
export function createBreaker(name: string, options: BreakerOptions): Breaker {
  return new OpossumBreaker(name, options);
}

/** One call as opossum sees it: whether it was let in, and how it went in the end. */
interface Call {
  admitted: boolean;
  readonly verdict: Promise<void>;
  succeed(): void;
  fail(error: unknown): void;
}

/**
 * opossum counts and decides; the calls run here, beside it. That way a late answer to a call from before the outage, or
 * a caller who gave up, is no verdict at all, where opossum would take either as the success that closes the breaker.
 */
class OpossumBreaker implements Breaker {
  inFlight = 0;
  private openings = 0;
  private openedAt = 0;
  private readonly circuit: CircuitBreaker<[Call], void>;

  constructor(
    readonly name: string,
    private readonly options: BreakerOptions,
  ) {
    const admit = (call: Call): Promise<void> => {
      call.admitted = true;
      return call.verdict;
    };
    this.circuit = new CircuitBreaker(admit, {
      name,
      timeout: false,
      volumeThreshold: options.volumeThreshold,
      errorThresholdPercentage: options.errorThresholdPercentage,
      resetTimeout: options.resetTimeoutMs,
      rollingCountTimeout: options.windowMs ?? DEFAULT_WINDOW_MS,
      rollingCountBuckets: WINDOW_BUCKETS,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
    });
    this.circuit.on('open', () => {
      this.openings += 1;
      this.openedAt = performance.now();
    });
  }

  get state(): BreakerState {
    if (this.circuit.halfOpen) {
      return 'half-open';
    }
    return this.circuit.closed ? 'closed' : 'open';
  }

  get nextProbeTime(): Date | undefined {
    return this.state === 'closed' ? undefined : new Date(Date.now() + this.untilProbeMs());
  }

  demandNotOpen(): void {
    if (this.state === 'open') {
      throw this.openError();
    }
  }

  reportOutage(): void {
    if (this.state === 'open') {
      return;
    }
    const call = newCall();
    this.circuit.fire(call).catch(() => undefined);
    call.fail(new Error('an outage that was reported'));
  }

  async run<T>(action: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted === true) {
      throw reasonOf(signal);
    }
    if (this.inFlight >= (this.options.maxInFlight ?? Infinity)) {
      throw new TidemarkError('LIMIT_EXCEEDED', `Too many calls to ${this.name} are under way.`, {
        retryAfterMs: PROBE_PAUSE_MS,
      });
    }
    const call = newCall();
    // opossum's own answer only repeats the verdict.
    this.circuit.fire(call).catch(() => undefined);
    if (!call.admitted) {
      throw this.openError();
    }
    const openings = this.openings;
    const isStale = (): boolean => openings !== this.openings;
    try {
      const value = await this.bounded(action, signal);
      if (!isStale()) {
        call.succeed();
      }
      return value;
    } catch (error) {
      if (!isStale()) {
        this.judge(call, error, signal);
      }
      throw error;
    }
  }

  shutdown(): void {
    this.circuit.shutdown();
  }

  private judge(call: Call, error: unknown, signal: AbortSignal | undefined): void {
    if (signal?.aborted === true || this.options.saysNothing?.(error) === true) {
      // A probe that its caller gave up, or that never got so far, says nothing: open again, so that the next gets its turn.
      if (this.circuit.halfOpen) {
        this.circuit.open();
      }
    } else if (error instanceof BreakerTimeout || this.options.isOutage(error)) {
      call.fail(error);
    } else {
      call.succeed();
    }
  }

  /** Settles at the timeout or the caller's abort even when the action does not. */
  private bounded<T>(
    action: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const timeout = new AbortController();
    const ends = signal === undefined ? timeout.signal : AbortSignal.any([timeout.signal, signal]);
    const { timeoutMs } = this.options;
    const expire = (ms: number) => {
      timeout.abort(new BreakerTimeout(this.subject, ms));
    };
    const timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs, timeoutMs);
    this.inFlight += 1;
    const work = Promise.resolve()
      .then(() => action(ends))
      .finally(() => {
        this.inFlight -= 1;
      });
    return new Promise<T>((resolve, reject) => {
      const onEnd = () => {
        reject(reasonOf(ends));
      };
      ends.addEventListener('abort', onEnd, { once: true });
      work.then(resolve, reject).finally(() => {
        ends.removeEventListener('abort', onEnd);
      });
    }).finally(() => {
      clearTimeout(timer);
    });
  }

  private get subject(): string {
    return this.options.subject?.(this.name) ?? this.name;
  }

  private untilProbeMs(): number {
    if (this.circuit.halfOpen) {
      return PROBE_PAUSE_MS;
    }
    return Math.max(1, Math.ceil(this.openedAt + this.options.resetTimeoutMs - performance.now()));
  }

  private openError(): TidemarkError {
    const retryAfterMs = this.untilProbeMs();
    const time = new Date(Date.now() + retryAfterMs).toISOString();
    return new TidemarkError('CIRCUIT_OPEN', `${this.subject} is down; it is tried again at ${time}`, {
      retryAfterMs,
      metadata: { breaker: this.name },
    });
  }
}

class BreakerTimeout extends TidemarkError {
  constructor(subject: string, timeoutMs: number) {
    super('DEADLINE_EXCEEDED', `${subject} did not answer within ${String(timeoutMs)} ms.`);
  }
}

function newCall(): Call {
  let succeed: () => void = () => undefined;
  let fail: (error: unknown) => void = () => undefined;
  const verdict = new Promise<void>((resolve, reject) => {
    succeed = resolve;
    fail = reject;
  });
  return { admitted: false, verdict, succeed, fail };
}
