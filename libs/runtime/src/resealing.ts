import { isTidemarkError, type Keyring } from '@tidemark/model';
import { delay } from './delay.js';
import type { Logger } from './logger.js';
import type { SealedSecret, SealedSecrets } from './sealed-secrets.js';

const RETRY_MS = 10_000;

/** What one pass did. */
export interface ResealResult {
  readonly resealed: number;
  /** Changed or removed by others meanwhile; a further pass tells. */
  readonly contested: number;
  /** Under a key that is not here, or damaged. */
  readonly unopened: number;
}

/**
 * Seals anew, in the background of each start, what is not under the current master key. Several processes may do it at a
 * time: each secret is replaced only as it was read.
 */
export class Resealing {
  private readonly stopping = new AbortController();
  private loop: Promise<void> = Promise.resolve();

  constructor(
    private readonly secrets: SealedSecrets,
    private readonly keyring: Keyring,
    private readonly logger: Logger,
  ) {}

  start(): void {
    this.loop = this.follow();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loop;
  }

  private async follow(): Promise<void> {
    const { signal } = this.stopping;
    let total = 0;
    while (!signal.aborted) {
      try {
        const { resealed, contested, unopened } = await this.pass();
        total += resealed;
        if (contested === 0) return this.report(total, unopened);
      } catch (error) {
        if (!signal.aborted)
          this.logger.warn({ error }, 'secrets could not be sealed anew; it is tried again');
      }
      await delay(RETRY_MS, signal).catch(() => undefined);
    }
  }

  /** Goes through all secrets once, one at a time. */
  async pass(): Promise<ResealResult> {
    const result = { resealed: 0, contested: 0, unopened: 0 };
    for await (const secret of this.secrets.all()) {
      if (this.stopping.signal.aborted) break;
      if (this.keyring.isCurrent(secret.sealed)) continue;
      const plain = this.open(secret);
      if (plain === undefined) result.unopened++;
      else if (await secret.replace(this.keyring.seal(plain, secret.purpose, secret.owner)))
        result.resealed++;
      else result.contested++;
    }
    return result;
  }

  /** One that cannot be opened keeps no other from being sealed anew. */
  private open({ sealed, purpose, owner }: SealedSecret): Uint8Array | undefined {
    try {
      return this.keyring.open(sealed, purpose, owner);
    } catch (error) {
      if (!isTidemarkError(error, 'KEY_UNAVAILABLE', 'INTERNAL')) throw error;
      return undefined;
    }
  }

  private report(resealed: number, unopened: number): void {
    if (this.stopping.signal.aborted) return;
    if (unopened > 0)
      this.logger.warn(
        { resealed, unopened },
        'some secrets open with none of the master keys; give the one that is missing',
      );
    else this.logger.info({ resealed }, 'all secrets are sealed under the current master key');
  }
}
