import { isUtf8 } from 'node:buffer';
import {
  canonicalJson,
  formatPath,
  isJsonObject,
  MAX_ID_BYTES,
  MAX_PAYLOAD_BYTES,
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
import { invalidField } from './record-request.js';

const MAX_PAGE_RECORDS = 1_000;
const MAX_PAGE_BYTES = 12 * 1024 * 1024;
const MAX_CHECKPOINT_BYTES = 64 * 1024;
const MAX_REJECTION_BYTES = 4 * 1024;
const OPEN_OBJECT = 0x7b;

/** One page of a run. */
export interface CommitPage {
  readonly pageNumber: number;
  /** How often the run had been begun when it was read. */
  readonly reading: number;
  readonly observedSequence: number;
  readonly observations: readonly Observation[];
  readonly rejections: readonly Rejection[];
  readonly checkpoint: Uint8Array;
}

/**
 * Proves every payload of a page to lie within the scope, and to be what is kept as it came: a JSON object in canonical form.
 * Nobody else's word is taken for it (P3, R1). Throws SCOPE_VIOLATED, SOURCE_CONTRACT_BROKEN.
 */
export function verifyPayloads({ observations }: CommitPage, scope: ScopeNode, model: string): void {
  for (const { payload } of observations) {
    if (payload === undefined) continue;
    if (payload[0] === OPEN_OBJECT && provesWithinScope(payload, scope)) continue;
    const value = parsePayload(payload, model);
    const violation = sound(model, () => scopeViolation(value, scope));
    if (violation !== undefined) throw scopeViolated(model, violation);
    // A key that comes twice hides what the first one held from whoever parses it.
    const canonical = Buffer.from(sound(model, () => canonicalJson(value).text));
    if (!isJsonObject(value) || !canonical.equals(payload))
      throw broken(model, 'no JSON object in canonical form');
  }
}

function scopeViolated(model: string, path: string): TidemarkError {
  // Not by its name: that may be personal, too, and nothing outside the scope may get into an error.
  const parent = formatPath(splitPath(path).slice(0, -1));
  return new TidemarkError(
    'SCOPE_VIOLATED',
    `a record of ${model} came with a field ${parent === '' ? '' : `below ${parent} `}that the scope does not allow`,
  );
}

/** Tells what a connector should have put into quarantine from a fault of ours. */
function sound<T>(model: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof RejectedRecordError) throw broken(model, error.message);
    throw error;
  }
}

function broken(model: string, what: string): TidemarkError {
  return new TidemarkError(
    'SOURCE_CONTRACT_BROKEN',
    `the connector sent a record of ${model} that is ${what}`,
  );
}

/** A payload's content. Throws SOURCE_CONTRACT_BROKEN if it is no JSON, without quoting it. */
export function parsePayload(payload: Uint8Array, model: string): JsonValue {
  if (!isUtf8(payload)) throw broken(model, 'not UTF-8');
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString();
  return sound(model, () => parseJson(text));
}

/** Refuses a page beyond its bounds (R4). Throws LIMIT_EXCEEDED. */
export function checkBounds({ pageNumber, observations, rejections, checkpoint }: CommitPage): void {
  const bytes = observations.reduce((sum, { payload }) => sum + (payload?.byteLength ?? 0), 0);
  const exceeded = (what: string) => new TidemarkError('LIMIT_EXCEEDED', what);
  if (pageNumber < 0) throw invalidField('page_number', 'counts from 0');
  if (observations.length + rejections.length > MAX_PAGE_RECORDS || bytes > MAX_PAGE_BYTES)
    throw exceeded(`a page holds at most ${MAX_PAGE_RECORDS} records and ${MAX_PAGE_BYTES} bytes`);
  if (observations.some(({ payload }) => (payload?.byteLength ?? 0) > MAX_PAYLOAD_BYTES))
    throw exceeded(`a record has at most ${MAX_PAYLOAD_BYTES} bytes`);
  if ([...observations, ...rejections].some(({ id }) => Buffer.byteLength(id ?? '') > MAX_ID_BYTES))
    throw exceeded(`an id has at most ${MAX_ID_BYTES} bytes`);
  if (rejections.some(({ position, message }) => Buffer.byteLength(position + message) > MAX_REJECTION_BYTES))
    throw exceeded(`the position and message of a rejection have at most ${MAX_REJECTION_BYTES} bytes`);
  if (checkpoint.byteLength > MAX_CHECKPOINT_BYTES)
    throw exceeded(`a checkpoint has at most ${MAX_CHECKPOINT_BYTES} bytes`);
}
