import { BadRequest, ErrorInfo, RetryInfo, RpcStatus } from '@tidemark/contracts';
import { TidemarkError, type ErrorDetails, type FieldViolation } from '@tidemark/model';
import { codeOf, isReason } from './reason.js';

/** The trailer in which a google.rpc.Status travels. */
export const DETAILS_TRAILER = 'grpc-status-details-bin';

/** The domain of every ErrorInfo of ours. */
const DOMAIN = 'tidemark.dev';

/** Bound of the encoded violations: gRPC peers may refuse header blocks above 8 KiB, and base64 adds a third. */
const MAX_VIOLATION_BYTES = 4096;

const TYPE = {
  errorInfo: 'type.googleapis.com/google.rpc.ErrorInfo',
  badRequest: 'type.googleapis.com/google.rpc.BadRequest',
  retryInfo: 'type.googleapis.com/google.rpc.RetryInfo',
} as const;

/** Encodes an error as google.rpc.Status. Violations beyond 4 KiB are left out and counted in `omitted_violations`. */
export function packDetails(error: TidemarkError, message: string): Uint8Array {
  const violations = fitting(error.violations);
  const omitted = error.violations.length - violations.length;
  const metadata =
    omitted === 0 ? error.metadata : { ...error.metadata, omitted_violations: String(omitted) };
  const info = ErrorInfo.fromPartial({
    reason: error.reason,
    domain: DOMAIN,
    metadata: new Map(Object.entries(metadata)),
  });
  const details: RpcStatus['details'] = [{ typeUrl: TYPE.errorInfo, value: ErrorInfo.encode(info).finish() }];
  if (violations.length > 0) {
    const badRequest = BadRequest.fromPartial({ fieldViolations: violations });
    details.push({ typeUrl: TYPE.badRequest, value: BadRequest.encode(badRequest).finish() });
  }
  if (error.retryAfterMs !== undefined) {
    details.push({
      typeUrl: TYPE.retryInfo,
      value: RetryInfo.encode(toRetryInfo(error.retryAfterMs)).finish(),
    });
  }
  return RpcStatus.encode({ code: codeOf(error.reason), message, details }).finish();
}

/** Decodes what `packDetails` wrote; undefined without an ErrorInfo of ours, or with a reason that this build does not know. */
export function unpackDetails(bytes: Uint8Array, cause: unknown): TidemarkError | undefined {
  const status = RpcStatus.decode(bytes);
  const info = find(status, TYPE.errorInfo, ErrorInfo);
  if (info === undefined || info.domain !== DOMAIN || !isReason(info.reason)) {
    return undefined;
  }
  const retryAfterMs = fromRetryInfo(find(status, TYPE.retryInfo, RetryInfo));
  const details: ErrorDetails = {
    violations: toViolations(find(status, TYPE.badRequest, BadRequest)),
    metadata: Object.fromEntries(info.metadata),
    cause,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
  return new TidemarkError(info.reason, status.message, details);
}

function find<T>(status: RpcStatus, typeUrl: string, type: { decode(bytes: Uint8Array): T }): T | undefined {
  const packed = status.details.find((detail) => detail.typeUrl === typeUrl);
  return packed === undefined ? undefined : type.decode(packed.value);
}

function fitting(violations: readonly FieldViolation[]): FieldViolation[] {
  let bytes = 0;
  const excess = violations.findIndex(({ field, description }) => {
    bytes += Buffer.byteLength(field) + Buffer.byteLength(description) + 8;
    return bytes > MAX_VIOLATION_BYTES;
  });
  return violations.slice(0, excess === -1 ? violations.length : excess);
}

function toViolations(badRequest: BadRequest | undefined): FieldViolation[] {
  return (badRequest?.fieldViolations ?? []).map(({ field, description }) => ({ field, description }));
}

function toRetryInfo(milliseconds: number): RetryInfo {
  const whole = Math.max(0, Math.ceil(milliseconds));
  return { retryDelay: { seconds: BigInt(Math.trunc(whole / 1000)), nanos: (whole % 1000) * 1_000_000 } };
}

function fromRetryInfo(info: RetryInfo | undefined): number | undefined {
  const delay = info?.retryDelay;
  return delay === undefined ? undefined : Number(delay.seconds) * 1000 + Math.round(delay.nanos / 1_000_000);
}
