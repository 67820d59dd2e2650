import { isJsonObject, RejectedRecordError, setKey, type JsonObject, type JsonValue } from '@tidemark/model';
import { MAX_LINE_BYTES } from './whole-lines.js';

const MEBIBYTES = MAX_LINE_BYTES / (1024 * 1024);

/** The row is longer than the bound. */
export const TOO_LONG_FAULT = new RejectedRecordError('TOO_LARGE', `longer than ${MEBIBYTES} MiB`);
/** The row is not valid UTF-8. */
export const ENCODING_FAULT = new RejectedRecordError('ENCODING', 'not valid UTF-8');
/** The file ends within the row, or may do so. */
export const TRUNCATED_FAULT = new RejectedRecordError(
  'TRUNCATED',
  'the last row has no line end, it may be cut short',
);

/** What a last row without a line end says about its file. */
export function cutShort(file: string): string {
  return `${file} does not end with a line end, so its last row may be cut short (if the source always writes it so, set finalNewline: optional)`;
}

/** The fault of a row that threw. Rethrows what is no fault of the row. */
export function faultOf(error: unknown): RejectedRecordError {
  if (error instanceof RejectedRecordError) return error;
  throw error;
}

/**
 * The primary key of a record with broken characters, if they are elsewhere; undefined if the key itself may be
 * broken. U+FFFD stands for what could not be decoded.
 */
export function intactKey(value: JsonValue, primaryKey: readonly string[]): JsonObject | undefined {
  if (!isJsonObject(value)) return undefined;
  const key: JsonObject = {};
  for (const field of primaryKey) {
    const part = Object.hasOwn(value, field) ? value[field] : undefined;
    if (part === undefined || (typeof part === 'string' && part.includes('\uFFFD'))) return undefined;
    setKey(key, field, part);
  }
  return key;
}
