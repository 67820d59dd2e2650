import { setTimeout as sleep } from 'node:timers/promises';
import type { Page, ReadRequest, ReadResponse } from '@tidemark/contracts';
import { isTidemarkError, TidemarkError, type BudgetCause } from '@tidemark/model';
import { fromDuration } from './connection-messages.js';
import type { Connectors } from './connectors.js';
import type { Claimant, Pacer } from './pacer.js';
import type { ReadTarget } from './source-targets.js';

/** A read waits before it asks the source for more. */
export interface Hold {
  readonly ms: number;
  /** For what, for a person. */
  readonly note: string;
  /** Whether it only goes on, with a further look at whether it has to. */
  readonly goesOn: boolean;
}

/** A message of a paced read. */
export interface PacedResponse {
  readonly message:
    | Exclude<ReadResponse['message'], { readonly $case: 'more' }>
    | { readonly $case: 'hold'; readonly value: Hold };
}

/**
 * Reads a model at its account's rate: asks the source for no more requests than the budget gave, and for none while the source
 * wants none, whoever it told so. It says for what it waits, before it waits; everything ends with `signal`.
 */
export class PacedReads {
  constructor(
    private readonly connectors: Pick<Connectors, 'read'>,
    private readonly pacer: Pacer,
  ) {}

  async *read(
    target: ReadTarget,
    request: ReadRequest,
    reader: Claimant,
    signal: AbortSignal,
  ): AsyncGenerator<PacedResponse> {
    const part = new PacedPart(this.pacer, target, reader, request.checkpoint);
    try {
      do {
        yield* part.hold(signal);
        yield* part.pages(this.connectors, request, signal);
      } while (!part.isEnded);
    } catch (error) {
      if (isTidemarkError(error, 'SOURCE_UNAVAILABLE') && error.retryAfterMs !== undefined)
        await this.pacer.block(target.account, error.retryAfterMs);
      throw error;
    } finally {
      part.leave();
    }
  }
}

/** A read under way, as a chain of calls to the connector. */
class PacedPart {
  isEnded = false;
  /** Requests that were granted and not made yet. */
  private left = 0;
  /** Whether the connector sent more than it was to. */
  private isUnbounded = false;

  constructor(
    private readonly pacer: Pacer,
    private readonly target: ReadTarget,
    private readonly reader: Claimant,
    private checkpoint: Uint8Array,
  ) {}

  /** Waits until the source may be asked. */
  async *hold(signal: AbortSignal): AsyncGenerator<PacedResponse> {
    const { account } = this.target;
    for (let goesOn = false; ; goesOn = true) {
      const answer = await this.pacer.ask(account, this.reader, this.left);
      if (!('waitMs' in answer)) {
        this.left = answer.granted;
        return;
      }
      const { waitMs, cause } = answer;
      const rate = account.budget?.requestsPerMinute;
      yield { message: { $case: 'hold', value: { ms: waitMs, note: holdNote(cause, rate), goesOn } } };
      await sleep(waitMs, undefined, { signal });
    }
  }

  /** The messages of one call, until it has made the requests that it may, or has to let the source alone. */
  async *pages(
    connectors: Pick<Connectors, 'read'>,
    request: ReadRequest,
    signal: AbortSignal,
  ): AsyncGenerator<PacedResponse> {
    const isBudgeted = this.target.account.budget !== undefined;
    const bounds = isBudgeted ? { maxRequests: this.left } : {};
    const asked = { ...request, checkpoint: this.checkpoint, ...bounds };
    let pages = 0;
    for await (const { message } of connectors.read(this.target, asked, signal)) {
      switch (message?.$case) {
        case 'more':
          if (pages === 0) throw stuck();
          return;
        case 'page':
          pages++;
          if (isBudgeted) await this.count(message.value, pages);
          this.checkpoint = message.value.checkpoint;
          yield { message };
          // A connector that knows no bound is held here, as far as it does not send ahead.
          if (this.isUnbounded && this.left === 0) yield* this.hold(signal);
          if (await this.pacer.isBlocked(this.target.account)) return;
          break;
        case 'wait':
          await this.pacer.block(this.target.account, fromDuration(message.value.duration ?? NO_TIME));
          yield { message };
          break;
        case 'end':
          this.isEnded = true;
          yield { message };
          return;
        case undefined:
          yield { message };
      }
    }
    // Whoever takes the messages sees that the last one is missing.
    this.isEnded = true;
  }

  /** Gives back what was granted and not used, and the place in the queue. Does not wait for it. */
  leave(): void {
    this.pacer.leave(this.target.account, this.reader, this.left);
    this.left = 0;
  }

  private async count({ requests = 1 }: Page, pages: number): Promise<void> {
    // The first page of a call may take more requests than were granted; after it there is none.
    if (this.left === 0 && pages > 1) this.isUnbounded = true;
    const left = this.left - Math.max(1, requests);
    this.left = Math.max(0, left);
    if (left < 0) await this.pacer.charge(this.target.account, this.reader, -left);
  }
}

const NO_TIME = { seconds: 0n, nanos: 0 };

function stuck(): TidemarkError {
  const message = 'the connector broke a read off without having sent anything';
  return new TidemarkError('SOURCE_CONTRACT_BROKEN', message);
}

function holdNote(cause: BudgetCause, rate: number | undefined): string {
  switch (cause) {
    case 'SOURCE':
      return 'it waits because the source asked all who read with these credentials to wait';
    case 'BUDGET':
      return `it waits for its budget of ${rate ?? 0} requests a minute`;
    case 'OTHERS':
      return 'it waits for more urgent requests with the same credentials';
  }
}
