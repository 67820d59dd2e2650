import { forTenant, type ServerMiddleware } from '@tidemark/rpc';
import type { Authenticator } from './authenticator.js';
import { requireRole } from './method-roles.js';

/**
 * Lets a call pass if its API key has the method's role. What follows sees the tenant of the key alone: of the
 * metadata that the caller sent, nothing is kept.
 */
export function authorize(authenticator: Authenticator): ServerMiddleware {
  return async function* (call, context) {
    const { tenantId, roles } = await authenticator.authenticate(context);
    requireRole(call.method.path, roles);
    return yield* call.next(call.request, { ...context, metadata: forTenant(tenantId) });
  };
}
