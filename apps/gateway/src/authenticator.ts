import { createHash } from 'node:crypto';
import type { AuthenticateResponse, Role } from '@tidemark/contracts';
import { isTidemarkError, TidemarkError } from '@tidemark/model';
import { isInternalRefusal, readAuthorization, type CallContext } from '@tidemark/rpc';
import { ExpiringCache } from './expiring-cache.js';

/** Who calls. */
export interface Principal {
  readonly tenantId: string;
  readonly roles: readonly Role[];
}

/** Asks the identity service whom a key belongs to. */
export type LookUp = (apiKey: string) => Promise<AuthenticateResponse>;

/** Answers kept at most, good and bad ones each: a flood of made-up keys does not push out real ones. */
const CACHE_BOUND = 10_000;
/** How long a revoked key still works. */
const KNOWN_MS = 30_000;
/** How long a key made after its first use is still refused. */
const REFUSED_MS = 5_000;

const API_KEY = /^tm_[A-Za-z0-9-]{1,64}_[A-Za-z0-9_-]{1,256}$/;

/** Tells whom the API key of a call belongs to. Keeps answers for 30 s under a hash of the key, never the key. */
export class Authenticator {
  private readonly known: ExpiringCache<Principal>;
  private readonly refused: ExpiringCache<TidemarkError>;
  private readonly pending = new Map<string, Promise<Principal>>();

  constructor(
    private readonly lookUp: LookUp,
    private readonly now: () => number = Date.now,
  ) {
    this.known = new ExpiringCache(CACHE_BOUND, now);
    this.refused = new ExpiringCache(CACHE_BOUND, now);
  }

  /** Throws CREDENTIAL_MISSING, CREDENTIAL_INVALID, or what the identity service failed with. */
  async authenticate(context: Pick<CallContext, 'metadata'>): Promise<Principal> {
    const apiKey = readApiKey(context);
    const hash = createHash('sha256').update(apiKey).digest('base64');
    const principal = this.known.get(hash);
    if (principal !== undefined) {
      return principal;
    }
    const refusal = this.refused.get(hash);
    if (refusal !== undefined) {
      throw refusal;
    }
    // One call for all who ask at the same time; so no single caller's cancel may end it.
    let pending = this.pending.get(hash);
    if (pending === undefined) {
      pending = this.ask(apiKey, hash).finally(() => this.pending.delete(hash));
      this.pending.set(hash, pending);
    }
    return pending;
  }

  private async ask(apiKey: string, hash: string): Promise<Principal> {
    try {
      const { tenantId, roles, expireTime } = await this.lookUp(apiKey);
      const expiresAt = Math.min(this.now() + KNOWN_MS, expireTime?.getTime() ?? Infinity);
      if (expiresAt <= this.now()) {
        throw new TidemarkError('CREDENTIAL_INVALID', 'the API key has expired');
      }
      const principal = Object.freeze({ tenantId, roles });
      this.known.set(hash, principal, expiresAt);
      return principal;
    } catch (error) {
      if (isInternalRefusal(error)) {
        // Not the caller's fault, so not the caller's error.
        throw new TidemarkError('INTERNAL', 'the gateway cannot call the identity service', { cause: error });
      }
      if (isTidemarkError(error, 'CREDENTIAL_INVALID')) {
        this.refused.set(hash, error, this.now() + REFUSED_MS);
      }
      throw error;
    }
  }
}

function readApiKey(context: Pick<CallContext, 'metadata'>): string {
  const authorization = readAuthorization(context.metadata);
  if (authorization === undefined && !context.metadata.has('authorization')) {
    throw new TidemarkError('CREDENTIAL_MISSING', 'send an API key: authorization: Bearer tm_…');
  }
  if (authorization?.scheme !== 'bearer' || !API_KEY.test(authorization.value)) {
    throw new TidemarkError('CREDENTIAL_INVALID', 'the authorization is not: Bearer tm_<id>_<secret>');
  }
  return authorization.value;
}
