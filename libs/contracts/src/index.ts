// Named exports of everything generated. Written by hand: one line for each file under proto/tidemark/v1.
export * from './gen/tidemark/v1/connection.js';
export * from './gen/tidemark/v1/connection_service.js';
export * from './gen/tidemark/v1/connector_service.js';
export * from './gen/tidemark/v1/error_reason.js';
export * from './gen/tidemark/v1/identity_service.js';
export * from './gen/tidemark/v1/model.js';
export * from './gen/tidemark/v1/record.js';
export * from './gen/tidemark/v1/record_service.js';
export * from './gen/tidemark/v1/store_service.js';
export * from './gen/tidemark/v1/sync_run.js';
export * from './gen/tidemark/v1/sync_service.js';
// Each service file declares this helper type; one of them has to stand for all.
export type { ServerStreamingMethodResult } from './gen/tidemark/v1/record_service.js';
export { Status as RpcStatus } from './gen/google/rpc/status.js';
export { BadRequest, ErrorInfo, RetryInfo } from './gen/google/rpc/error_details.js';
