import { SyncRunState, type SyncRun } from '@tidemark/contracts';
import type { ErrorReason } from '@tidemark/model';

/** How the command line ends, as SPEC.md lists it. */
export const ExitCode = {
  DONE: 0,
  FAILED: 1,
  USAGE: 2,
  NOT_FOUND: 3,
  NOT_ALLOWED: 4,
  UNAVAILABLE: 5,
  HELD: 6,
  /** A wait that Ctrl-C ended: 128 + SIGINT. */
  INTERRUPTED: 130,
} as const;

/** One of the exit codes. */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** The exit code of a failure. No default: a new reason must be placed. */
export function exitCodeOf(reason: ErrorReason): ExitCode {
  switch (reason) {
    case 'REQUEST_INVALID':
    case 'FIELD_UNKNOWN':
    case 'FILTER_UNSUPPORTED':
    case 'CURSOR_INVALID':
    case 'CONFIG_INVALID':
      return ExitCode.USAGE;
    case 'CONNECTION_NOT_FOUND':
    case 'CONNECTOR_NOT_FOUND':
    case 'MODEL_NOT_FOUND':
    case 'RECORD_NOT_FOUND':
    case 'RUN_NOT_FOUND':
    case 'SOURCE_GONE':
      return ExitCode.NOT_FOUND;
    case 'CREDENTIAL_MISSING':
    case 'CREDENTIAL_INVALID':
    case 'ROLE_MISSING':
      return ExitCode.NOT_ALLOWED;
    case 'SOURCE_UNAVAILABLE':
    case 'CIRCUIT_OPEN':
    case 'DATABASE_UNAVAILABLE':
    case 'SERVICE_UNAVAILABLE':
    case 'DEADLINE_EXCEEDED':
      return ExitCode.UNAVAILABLE;
    case 'CONNECTION_EXISTS':
    case 'CONNECTION_PAUSED':
    case 'RUN_STATE_CONFLICT':
    case 'RUN_ABANDONED':
    case 'SCOPE_CONFLICT':
    case 'KEY_UNAVAILABLE':
    case 'SCOPE_VIOLATED':
    case 'CURSOR_EXPIRED':
    case 'MUST_RESYNC':
    case 'WATCHER_TOO_SLOW':
    case 'LEASE_LOST':
    case 'PAGE_OUT_OF_ORDER':
    case 'QUARANTINE_LIMIT_EXCEEDED':
    case 'SOURCE_CREDENTIALS_REJECTED':
    case 'SOURCE_CONFIG_INVALID':
    case 'SOURCE_CONTRACT_BROKEN':
    case 'SOURCE_CHANGED':
    case 'LIMIT_EXCEEDED':
    case 'FEATURE_UNSUPPORTED':
    case 'CANCELLED':
    case 'INTERNAL':
      return ExitCode.FAILED;
  }
}

/** The exit code of a wait for runs: that of the worst one. A run that is not at its end counts as failed. */
export function exitCodeOfRuns(runs: readonly SyncRun[]): ExitCode {
  const states = runs.map((run) => run.state);
  if (states.some((state) => state !== SyncRunState.SUCCEEDED && state !== SyncRunState.HELD)) {
    return ExitCode.FAILED;
  }
  return states.includes(SyncRunState.HELD) ? ExitCode.HELD : ExitCode.DONE;
}
