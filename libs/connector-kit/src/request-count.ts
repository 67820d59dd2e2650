import type { RequestMeter } from './connector.js';

/** Counts a read's requests to its source: those that the connector tells, or one for each page. */
export class RequestCount {
  private pages = 0;
  private told = 0;

  constructor(
    private readonly meter: RequestMeter | undefined,
    private readonly most: number | undefined,
  ) {}

  /** Counts a page; gives back the requests since the page before, if the connector tells them. */
  page(): number | undefined {
    this.pages++;
    if (this.meter === undefined) return undefined;
    const since = this.meter.requests - this.told;
    this.told += since;
    return since;
  }

  /** Whether the read has to break off before it asks the source for more. */
  get isSpent(): boolean {
    if (this.most === undefined || this.meter?.isAtEnd === true) return false;
    return (this.meter?.requests ?? this.pages) >= this.most;
  }

  /** Whether it can: another one then goes on from a page. */
  get hasSent(): boolean {
    return this.pages > 0;
  }
}
