import { isTidemarkError } from '@tidemark/model';
import { Breakers, type Breaker, type BreakerOptions } from '@tidemark/runtime';

const LIMITS = {
  /** Longer than any call: a slow first page is no outage. */
  timeoutMs: 240_000,
  volumeThreshold: 5,
  /** A half is too much: a read that always breaks off later is one good call and one outage. */
  errorThresholdPercentage: 49,
  resetTimeoutMs: 20_000,
  windowMs: 120_000,
} satisfies Partial<BreakerOptions>;

/** Whose breakers a call to a source passes. */
export interface Guarded {
  /** `tenant/connection` */
  readonly breaker: string;
  readonly connector: string;
}

/** When breakers open; a test may have them open sooner. */
export type BreakerLimits = typeof LIMITS;

/**
 * A circuit breaker for each connection and one for each connector. What a source does counts for its connection alone; what the
 * connector's process does counts for the connector alone, and says nothing of any source.
 */
export class SourceBreakers {
  private readonly connections: Breakers;
  private readonly connectors: Breakers;

  constructor(limits: BreakerLimits = LIMITS) {
    const { timeoutMs, ...others } = limits;
    this.connections = new Breakers({
      ...others,
      timeoutMs,
      isOutage: isSourceOutage,
      saysNothing: (error) => isTidemarkError(error, 'SERVICE_UNAVAILABLE', 'CIRCUIT_OPEN', 'CANCELLED'),
      subject: (name) => `the source of connection ${name.slice(name.indexOf('/') + 1)}`,
    });
    // A call that takes too long is the connection's affair.
    this.connectors = new Breakers({
      ...others,
      isOutage: isConnectorOutage,
      // A call that came to no end in time may have waited for the source, or for a process that hangs.
      saysNothing: (error) => isTidemarkError(error, 'DEADLINE_EXCEEDED', 'CANCELLED'),
      subject: (name) => `connector ${name}`,
    });
  }

  /** How both stand; undefined for one that no call has passed of late. */
  peek({ breaker, connector }: Guarded): { own: Breaker | undefined; connectors: Breaker | undefined } {
    return { own: this.connections.peek(breaker), connectors: this.connectors.peek(connector) };
  }

  /** Calls a connector about itself. Throws CIRCUIT_OPEN. */
  callConnector<T>(connector: string, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.connectors.get(connector).run(call);
  }

  /** Calls a source through both. Throws CIRCUIT_OPEN, DEADLINE_EXCEEDED. */
  async run<T>(
    { breaker, connector }: Guarded,
    call: (signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const process = this.connectors.get(connector);
    // Before the connection's: a probe of that must not be spent on a connector that is down.
    process.demandNotOpen();
    return this.connections.get(breaker).run((inner) => process.run(call, inner), signal);
  }

  /** Lets them count a failure in the middle of a stream. */
  report({ breaker, connector }: Guarded, failure: unknown): void {
    if (isSourceOutage(failure)) this.connections.get(breaker).reportOutage();
    if (isConnectorOutage(failure)) this.connectors.get(connector).reportOutage();
  }

  shutdown(): void {
    this.connections.shutdown();
    this.connectors.shutdown();
  }
}

function isSourceOutage(error: unknown): boolean {
  return isTidemarkError(error, 'SOURCE_UNAVAILABLE', 'DEADLINE_EXCEEDED');
}

function isConnectorOutage(error: unknown): boolean {
  return isTidemarkError(error, 'SERVICE_UNAVAILABLE');
}
