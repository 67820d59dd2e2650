/** Why a call failed. Mirrors `tidemark.v1.ErrorReason`; its comments there give causes, cures and an example each. */
export type ErrorReason =
  | 'REQUEST_INVALID'
  | 'FIELD_UNKNOWN'
  | 'FILTER_UNSUPPORTED'
  | 'FEATURE_UNSUPPORTED'
  | 'CONFIG_INVALID'
  | 'CREDENTIAL_MISSING'
  | 'CREDENTIAL_INVALID'
  | 'ROLE_MISSING'
  | 'CONNECTION_NOT_FOUND'
  | 'CONNECTION_EXISTS'
  | 'CONNECTION_PAUSED'
  | 'CONNECTOR_NOT_FOUND'
  | 'MODEL_NOT_FOUND'
  | 'RECORD_NOT_FOUND'
  | 'RUN_NOT_FOUND'
  | 'RUN_STATE_CONFLICT'
  | 'SCOPE_VIOLATED'
  | 'CURSOR_INVALID'
  | 'CURSOR_EXPIRED'
  | 'MUST_RESYNC'
  | 'WATCHER_TOO_SLOW'
  | 'LEASE_LOST'
  | 'PAGE_OUT_OF_ORDER'
  | 'QUARANTINE_LIMIT_EXCEEDED'
  | 'SOURCE_UNAVAILABLE'
  | 'SOURCE_CREDENTIALS_REJECTED'
  | 'SOURCE_CONFIG_INVALID'
  | 'SOURCE_CONTRACT_BROKEN'
  | 'SOURCE_GONE'
  | 'SOURCE_CHANGED'
  | 'CIRCUIT_OPEN'
  | 'LIMIT_EXCEEDED'
  | 'DATABASE_UNAVAILABLE'
  | 'SERVICE_UNAVAILABLE'
  | 'DEADLINE_EXCEEDED'
  | 'CANCELLED'
  | 'INTERNAL'
  | 'KEY_UNAVAILABLE'
  | 'SCOPE_CONFLICT'
  | 'RUN_ABANDONED';

/** One faulty field of a request: `field` is its path, `description` says what is allowed. Never holds the value. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** What an error may carry beside its reason and message. */
export interface ErrorDetails {
  /** Faulty request fields. */
  readonly violations?: readonly FieldViolation[];
  /** How long to wait before trying again, in milliseconds. */
  readonly retryAfterMs?: number;
  /** Public key-value facts (ids, bounds). Never secrets or field values. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The failure behind this one; goes to the log, never over the wire. */
  readonly cause?: unknown;
}

/**
 * The one error type of Tidemark. Its message is public: it says what happened and what to do, and carries neither
 * secrets nor field values. The cause is for the log only.
 */
export class TidemarkError extends Error {
  override readonly name = 'TidemarkError';
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;
  readonly metadata: Readonly<Record<string, string>>;

  constructor(
    readonly reason: ErrorReason,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.violations = details.violations ?? [];
    this.retryAfterMs = details.retryAfterMs;
    this.metadata = details.metadata ?? {};
  }
}

/** True for a TidemarkError of one of the given reasons (of any reason when none is given). */
export function isTidemarkError(error: unknown, ...reasons: ErrorReason[]): error is TidemarkError {
  return error instanceof TidemarkError && (reasons.length === 0 || reasons.includes(error.reason));
}
