import {
  canonicalJson,
  ExactNumber,
  parseJson,
  splitPath,
  TidemarkError,
  type JsonValue,
} from '@tidemark/model';
import type { ConnectionKeys } from './connection-keys.js';

/** Most values of one index field that a record is found by: an array may hold more, the rest is not indexed. */
const MAX_VALUES = 32;

/** Texts of the scalars that a path leads to, through arrays; equal for equal values, however their numbers are spelt. */
export function indexValues(value: JsonValue, path: string): string[] {
  const found = new Set<string>();
  collect(value, splitPath(path), 0, found);
  return [...found];
}

function collect(
  value: JsonValue | undefined,
  names: readonly string[],
  at: number,
  found: Set<string>,
): void {
  if (value === undefined || found.size >= MAX_VALUES) return;
  if (Array.isArray(value)) {
    for (const item of value) collect(item, names, at, found);
    return;
  }
  const name = names[at];
  if (isScalar(value)) {
    if (name === undefined) found.add(canonicalJson(value).identity);
  } else if (name !== undefined && Object.hasOwn(value, name)) {
    collect((value as Record<string, JsonValue>)[name], names, at + 1, found);
  }
}

function isScalar(value: JsonValue): value is string | number | boolean | null | ExactNumber {
  return value === null || typeof value !== 'object' || value instanceof ExactNumber;
}

/** The hashes that a record is found by. */
export function indexHashes(
  value: JsonValue,
  model: string,
  paths: readonly string[],
  { indexHash }: ConnectionKeys,
): Buffer[] {
  return paths.flatMap((path) => indexValues(value, path).map((text) => indexHash(model, path, text)));
}

/** One condition of a filter: a path and the text of the value that it has to lead to. */
export interface FilterTerm {
  readonly path: string;
  readonly text: string;
}

/** A filter's terms. Values are JSON scalars. Throws REQUEST_INVALID for another value. */
export function filterTerms(filter: ReadonlyMap<string, string>): FilterTerm[] {
  return [...filter].map(([path, value]) => ({ path, text: scalarText(path, value) }));
}

function scalarText(path: string, value: string): string {
  const field = `filter[${path}]`;
  const description = 'is one JSON scalar, such as "text", 7, true or null';
  const invalid = (cause?: unknown): TidemarkError =>
    new TidemarkError('REQUEST_INVALID', `${field}: ${description}`, {
      violations: [{ field, description }],
      cause,
    });
  let parsed: JsonValue;
  try {
    parsed = parseJson(value);
  } catch (cause) {
    throw invalid(cause);
  }
  if (!isScalar(parsed)) throw invalid();
  return canonicalJson(parsed).identity;
}

/** Whether a record has every value asked for. */
export function matchesFilter(value: JsonValue, terms: readonly FilterTerm[]): boolean {
  return terms.every(({ path, text }) => indexValues(value, path).includes(text));
}
