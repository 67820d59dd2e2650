import { isUtf8 } from 'node:buffer';
import {
  formatPath,
  parseJson,
  provesWithinScope,
  RejectedRecordError,
  scopeViolation,
  splitPath,
  TidemarkError,
  type JsonValue,
  type ScopeNode,
} from '@tidemark/model';
import type { Observation, Rejection } from './commit-plan.js';

const MAX_PAGE_RECORDS = 1_000;
const MAX_PAGE_BYTES = 12 * 1024 * 1024;
const MAX_CHECKPOINT_BYTES = 64 * 1024;

/** One page of a run. */
export interface CommitPage {
  readonly pageNumber: number;
  readonly observedSequence: number;
  readonly observations: readonly Observation[];
  readonly rejections: readonly Rejection[];
  readonly checkpoint: Uint8Array;
}

/** Proves every payload of a page to lie within the scope; nobody else's word is taken for it (P3). Throws SCOPE_VIOLATED. */
export function verifyPayloads({ observations }: CommitPage, scope: ScopeNode, model: string): void {
  for (const { payload } of observations) {
    if (payload === undefined || provesWithinScope(payload, scope)) continue;
    const violation = scopeViolation(parsePayload(payload, model), scope);
    if (violation === undefined) continue;
    // Not by its name: that may be personal, too, and nothing outside the scope may get into an error.
    const parent = formatPath(splitPath(violation).slice(0, -1));
    throw new TidemarkError(
      'SCOPE_VIOLATED',
      `a record of ${model} came with a field ${parent === '' ? '' : `below ${parent} `}that the scope does not allow`,
    );
  }
}

/** A payload's content. Throws SOURCE_CONTRACT_BROKEN if it is no JSON, without quoting it. */
export function parsePayload(payload: Uint8Array, model: string): JsonValue {
  if (!isUtf8(payload))
    throw new TidemarkError(
      'SOURCE_CONTRACT_BROKEN',
      `the connector sent a record of ${model} that is not UTF-8`,
    );
  try {
    return parseJson(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString());
  } catch (error) {
    if (!(error instanceof RejectedRecordError)) throw error;
    throw new TidemarkError(
      'SOURCE_CONTRACT_BROKEN',
      `the connector sent a record of ${model} that is ${error.message}`,
    );
  }
}

/** Refuses a page beyond its bounds (R4). Throws LIMIT_EXCEEDED. */
export function checkBounds({ observations, rejections, checkpoint }: CommitPage): void {
  const bytes = observations.reduce((sum, { payload }) => sum + (payload?.byteLength ?? 0), 0);
  if (observations.length + rejections.length > 2 * MAX_PAGE_RECORDS || bytes > MAX_PAGE_BYTES) {
    throw new TidemarkError(
      'LIMIT_EXCEEDED',
      `a page holds at most ${MAX_PAGE_RECORDS} records and ${MAX_PAGE_BYTES} bytes`,
    );
  }
  if (checkpoint.byteLength > MAX_CHECKPOINT_BYTES) {
    throw new TidemarkError('LIMIT_EXCEEDED', `a checkpoint has at most ${MAX_CHECKPOINT_BYTES} bytes`);
  }
}
