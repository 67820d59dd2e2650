import type { ErrorReason, TidemarkError } from '@tidemark/model';
import type { Writable } from './json.js';
import { printable } from './printable.js';

/** What happened and what to do about it, in one or two lines; violations follow, one a line. */
export function errorText(error: TidemarkError, address: string | undefined): string[] {
  const shown = error.message.split('\n');
  const violations = error.violations
    .map(({ field, description }) => `  ${field}: ${description}`)
    // A message often tells them already.
    .filter((_, i) => !error.message.includes(error.violations[i]?.description ?? ''));
  // A message that already names a command needs no other.
  const hint = error.message.includes('`tidemark ') ? [] : hintFor(error.reason, address);
  const retry =
    error.retryAfterMs === undefined
      ? []
      : [`It is tried again in ${String(Math.ceil(error.retryAfterMs / 1000))} s.`];
  return [
    `${sentence(shown[0] ?? '')} [${error.reason}]`,
    ...shown.slice(1),
    ...violations,
    ...hint,
    ...retry,
  ].map(printable);
}

/** An error as `--json` shows it, on stderr. */
export function errorJson({ reason, message, violations, retryAfterMs, metadata }: TidemarkError): Writable {
  return {
    error: {
      reason,
      message,
      violations: violations.map((violation) => ({ ...violation })),
      retryAfterMs,
      metadata,
    },
  };
}

function hintFor(reason: ErrorReason, address: string | undefined): string[] {
  const hint = HINTS[reason];
  return hint === undefined ? [] : [hint.replaceAll('ADDRESS', address ?? 'the given address')];
}

/** For reasons whose message cannot know what the person at the command line can do. */
const HINTS: Partial<Record<ErrorReason, string>> = {
  SERVICE_UNAVAILABLE: 'Is Tidemark running at ADDRESS? Start it with: tidemark up',
  CREDENTIAL_MISSING: 'Give --api-key or TIDEMARK_API_KEY, or work in the folder where tidemark up runs.',
  CREDENTIAL_INVALID:
    'ADDRESS does not know this API key: check --api-key, TIDEMARK_API_KEY or .tidemark/cli.json.',
  ROLE_MISSING: 'Use an API key that has the role.',
  CONNECTION_NOT_FOUND: 'See what there is with: tidemark connections list',
  CONNECTOR_NOT_FOUND: 'See what there is with: tidemark connectors list',
  MODEL_NOT_FOUND: 'See what there is with: tidemark scope get CONNECTION',
  FILTER_UNSUPPORTED: 'See which fields have an index with: tidemark scope get CONNECTION',
  SCOPE_CONFLICT: 'Read it again with: tidemark scope get CONNECTION --json',
  RUN_NOT_FOUND: 'See what there is with: tidemark sync list',
  CURSOR_EXPIRED:
    'Read in full (without --cursor, --since and --updated-after), then go on from the new cursor.',
  MUST_RESYNC: 'Read in full (without --cursor and --since), then go on from the new cursor.',
};

function sentence(text: string): string {
  // A service's name such as tidemark.v1.SyncService keeps its spelling.
  const first = /^\w+\.\w/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?:]$/.test(first) ? first : `${first}.`;
}
