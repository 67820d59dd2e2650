export type { CallContext, CallOptions, ServerMiddleware } from 'nice-grpc-common';
export {
  forTenant,
  internalAuth,
  isInternalRefusal,
  readAuthorization,
  tenantOf,
  type Credential,
} from './auth.js';
export { MAX_MESSAGE_BYTES } from './channel-options.js';
export { createClient, type ClientOptions, type RpcClient } from './client.js';
export type { DeadlineOptions } from './deadline.js';
export { fastDefinition, passThrough, type FastDefinition, type RawDefinition } from './definition.js';
export { DETAILS_TRAILER } from './details.js';
export type { RpcLogger } from './logger.js';
export { startServer, type RpcServer, type ServerOptions } from './server.js';
export { bind, type ServiceBinding } from './service-binding.js';
export { fromClientError, isAbortError, toStatus, type WireStatus } from './status.js';
