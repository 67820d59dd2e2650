import { createHash, timingSafeEqual } from 'node:crypto';
import { isTidemarkError, TidemarkError } from '@tidemark/model';
import { Metadata, type CallContext, type ServerMiddleware } from 'nice-grpc-common';

const AUTHORIZATION = 'authorization';
const TENANT = 'tidemark-tenant';

/** What a client proves itself with: the token that the services share, an API key, or nothing. */
export type Credential = { readonly internalToken: string } | { readonly apiKey: string } | undefined;

/** The value of the `authorization` metadata for a credential. */
export function authorizationOf(credential: Exclude<Credential, undefined>): string {
  return 'internalToken' in credential
    ? `Internal ${credential.internalToken}`
    : `Bearer ${credential.apiKey}`;
}

/** The `authorization` metadata of a call: its scheme in lower case (schemes are case-insensitive) and what follows it. */
export function readAuthorization(metadata: Metadata): { scheme: string; value: string } | undefined {
  const header = metadata.get(AUTHORIZATION);
  const match = typeof header === 'string' ? /^(\S+) +(\S+)$/.exec(header.trim()) : null;
  return match === null ? undefined : { scheme: (match[1] ?? '').toLowerCase(), value: match[2] ?? '' };
}

/** Copies metadata with the credential added. */
export function withCredential(
  metadata: Metadata | undefined,
  credential: Exclude<Credential, undefined>,
): Metadata {
  return Metadata(metadata).set(AUTHORIZATION, authorizationOf(credential));
}

/** Refuses calls that do not carry the services' shared token, in constant time. */
export function internalAuth(token: string): ServerMiddleware {
  const expected = digest(token);
  return async function* (call, context) {
    const sent = readAuthorization(context.metadata);
    if (sent?.scheme !== 'internal' || !timingSafeEqual(digest(sent.value), expected)) {
      throw new TidemarkError('CREDENTIAL_INVALID', 'this service takes calls from Tidemark services only', {
        metadata: { credential: 'internal' },
      });
    }
    return yield* call.next(call.request, context);
  };
}

/** True for the refusal of `internalAuth`: the caller's own token is wrong, not that of whom it calls for. */
export function isInternalRefusal(error: unknown): boolean {
  return isTidemarkError(error, 'CREDENTIAL_INVALID') && error.metadata['credential'] === 'internal';
}

/** Metadata of an internal call made for a tenant. */
export function forTenant(tenantId: string): Metadata {
  return Metadata().set(TENANT, tenantId);
}

/** The tenant that a call was made for. Trustworthy behind `internalAuth` only. Throws INTERNAL without one. */
export function tenantOf(context: Pick<CallContext, 'metadata'>): string {
  const tenant = context.metadata.get(TENANT);
  if (typeof tenant !== 'string' || tenant === '') {
    throw new TidemarkError('INTERNAL', 'a service was called without the tenant it needs');
  }
  return tenant;
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
