import type { Page } from '@tidemark/contracts';
import type { ReadingEnd, SourceDelay } from '@tidemark/connector-kit';
import { TidemarkError } from '@tidemark/model';
import { delay } from '@tidemark/runtime';
import type { Fault } from './deed.js';

/** Records that break the contract: an id and a payload. */
const BROKEN = {
  notCanonical: ['x', '{ "n": 1, "id": "x" }'],
  notJson: ['x', '{"id":"x","n'],
  idMissing: ['', '{"id":"x"}'],
} as const;

/** What a sound connector kit never sends; the service around it does so. */
export class WireFault extends Error {
  constructor(readonly kind: 'truncated' | keyof typeof BROKEN) {
    super(`a fault on the wire: ${kind}`);
  }

  /** The page that breaks the contract, if it is one that does. */
  page(): Page | undefined {
    if (this.kind === 'truncated') return undefined;
    const [id, payload] = BROKEN[this.kind];
    const fingerprint = Buffer.alloc(16, 1);
    const record = { id, payload: Buffer.from(payload), fingerprint, deleted: false };
    return {
      records: [record],
      rejected: [],
      checkpoint: Buffer.from('broken'),
      expectedRecords: undefined,
    };
  }
}

/** Lets a fault strike: throws, waits, or gives the end that takes the place of the page. */
export async function* strike(
  { kind, waitMs }: Fault,
  signal: AbortSignal,
): AsyncGenerator<SourceDelay, ReadingEnd | undefined, undefined> {
  switch (kind) {
    case 'unavailable':
      throw new TidemarkError('SOURCE_UNAVAILABLE', 'the source is down for now', {
        ...(waitMs > 0 ? { retryAfterMs: waitMs } : {}),
      });
    case 'wait':
      yield { waitMs, message: '429 with Retry-After' };
      await delay(waitMs, signal);
      return undefined;
    case 'hang':
      await new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('the caller left')), { once: true });
        if (signal.aborted) reject(new Error('the caller left'));
      });
      return undefined;
    case 'truncated':
    case 'notCanonical':
    case 'notJson':
    case 'idMissing':
      throw new WireFault(kind);
    case 'emptySuccess':
      return { evidence: '', failures: [] };
    case 'cutShort':
      return { evidence: 'the source says that this is all', failures: [] };
    case 'badAnswer':
      throw new TidemarkError('SOURCE_CONTRACT_BROKEN', 'the source answered with something that is no JSON');
    case 'bug':
      throw new Error('a bug in the connector');
    case 'credentials':
      throw new TidemarkError('SOURCE_CREDENTIALS_REJECTED', 'the source refuses the credentials');
    case 'gone':
      throw new TidemarkError('SOURCE_GONE', 'the account is gone from the source');
    case 'crash':
      process.kill(process.pid, 'SIGKILL');
      // The signal comes at its own time.
      return new Promise(() => undefined);
  }
}
