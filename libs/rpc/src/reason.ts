import { ErrorReason as WireReason } from '@tidemark/contracts';
import type { ErrorReason } from '@tidemark/model';
import { Status } from 'nice-grpc-common';

/** Names of the wire enum that no error carries. */
type NeverSent = 'UNSPECIFIED' | 'UNRECOGNIZED';

/** Fails to compile when the wire enum has a reason that the model lacks; `codeOf` and `isReason` cover the other way. */
type ReasonsOfWire = Exclude<keyof typeof WireReason, NeverSent> extends ErrorReason ? ErrorReason : never;

/** True for a name of the wire enum that an error can carry: what an older client does not know is not a reason. */
export function isReason(name: string): name is ReasonsOfWire {
  // The enum object also maps numbers back to names.
  return Object.hasOwn(WireReason, name) && !/^(-?\d+|UNSPECIFIED|UNRECOGNIZED)$/.test(name);
}

/** The gRPC status code of a reason, as `error_reason.proto` documents it. No default: a new reason must be placed. */
export function codeOf(reason: ErrorReason): Status {
  switch (reason) {
    case 'REQUEST_INVALID':
    case 'FIELD_UNKNOWN':
    case 'FILTER_UNSUPPORTED':
    case 'CONFIG_INVALID':
    case 'CURSOR_INVALID':
    case 'SOURCE_CONFIG_INVALID':
      return Status.INVALID_ARGUMENT;
    case 'CREDENTIAL_MISSING':
    case 'CREDENTIAL_INVALID':
      return Status.UNAUTHENTICATED;
    case 'ROLE_MISSING':
      return Status.PERMISSION_DENIED;
    case 'CONNECTION_NOT_FOUND':
    case 'CONNECTOR_NOT_FOUND':
    case 'MODEL_NOT_FOUND':
    case 'RECORD_NOT_FOUND':
    case 'RUN_NOT_FOUND':
    case 'SOURCE_GONE':
      return Status.NOT_FOUND;
    case 'CONNECTION_EXISTS':
      return Status.ALREADY_EXISTS;
    case 'CONNECTION_PAUSED':
    case 'RUN_STATE_CONFLICT':
    case 'SCOPE_VIOLATED':
    case 'RUN_ABANDONED':
    case 'SCOPE_CONFLICT':
    case 'KEY_UNAVAILABLE':
    case 'MUST_RESYNC':
    case 'LEASE_LOST':
    case 'PAGE_OUT_OF_ORDER':
    case 'QUARANTINE_LIMIT_EXCEEDED':
    case 'SOURCE_CREDENTIALS_REJECTED':
    case 'SOURCE_CONTRACT_BROKEN':
      return Status.FAILED_PRECONDITION;
    case 'CURSOR_EXPIRED':
      return Status.OUT_OF_RANGE;
    case 'SOURCE_CHANGED':
      return Status.ABORTED;
    case 'WATCHER_TOO_SLOW':
    case 'LIMIT_EXCEEDED':
      return Status.RESOURCE_EXHAUSTED;
    case 'SOURCE_UNAVAILABLE':
    case 'CIRCUIT_OPEN':
    case 'DATABASE_UNAVAILABLE':
    case 'SERVICE_UNAVAILABLE':
      return Status.UNAVAILABLE;
    case 'FEATURE_UNSUPPORTED':
      return Status.UNIMPLEMENTED;
    case 'DEADLINE_EXCEEDED':
      return Status.DEADLINE_EXCEEDED;
    case 'CANCELLED':
      return Status.CANCELLED;
    case 'INTERNAL':
      return Status.INTERNAL;
  }
}

/** The reason for a status that came without ErrorInfo: from gRPC itself, a proxy, or a server that is not ours. */
export function reasonOf(code: Status): ErrorReason {
  switch (code) {
    case Status.INVALID_ARGUMENT:
      return 'REQUEST_INVALID';
    case Status.DEADLINE_EXCEEDED:
      return 'DEADLINE_EXCEEDED';
    case Status.PERMISSION_DENIED:
      return 'ROLE_MISSING';
    case Status.RESOURCE_EXHAUSTED:
      return 'LIMIT_EXCEEDED';
    case Status.UNIMPLEMENTED:
      return 'FEATURE_UNSUPPORTED';
    case Status.UNAVAILABLE:
    case Status.CANCELLED:
      // Our own cancelling shows as an AbortError: CANCELLED comes from a server that closed by force.
      return 'SERVICE_UNAVAILABLE';
    case Status.UNAUTHENTICATED:
      return 'CREDENTIAL_INVALID';
    case Status.OK:
    case Status.UNKNOWN:
    case Status.NOT_FOUND:
    case Status.ALREADY_EXISTS:
    case Status.FAILED_PRECONDITION:
    case Status.ABORTED:
    case Status.OUT_OF_RANGE:
    case Status.INTERNAL:
    case Status.DATA_LOSS:
      return 'INTERNAL';
  }
}
