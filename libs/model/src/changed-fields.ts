import { ExactNumber, isJsonObject, parseJson, type JsonValue } from './json.js';
import { memberSpans } from './json-scan.js';
import { formatPath, splitPath } from './field-path.js';

/** Most characters of a change's field paths together, so that the log entry of a page stays far below 16 MiB. */
const MAX_CHANGED_CHARACTERS = 4_096;

/**
 * Field paths in which two values differ, sorted; arrays are compared as a whole. Past 4,096 characters of paths their
 * top-level names stand for them, as many as fit.
 */
export function changedFields(before: JsonValue, after: JsonValue): string[] {
  const paths: string[] = [];
  collectChanges(before, after, [], paths);
  return bounded(paths);
}

/**
 * The same for two payloads in canonical JSON. Members whose bytes are equal are passed over without being parsed, which
 * spares most of the work where records are large and changes small. Throws MALFORMED, TOO_DEEP.
 */
export function changedPayloadFields(before: Uint8Array, after: Uint8Array): string[] {
  const [a, b] = [asBuffer(before), asBuffer(after)];
  const [old, fresh] = [memberSpans(a), memberSpans(b)];
  if (old === undefined || fresh === undefined)
    return changedFields(parseJson(a.toString()), parseJson(b.toString()));
  const paths: string[] = [];
  for (const key of new Set([...old.keys(), ...fresh.keys()])) {
    const [x, y] = [old.get(key), fresh.get(key)];
    if (x === undefined || y === undefined) paths.push(formatPath([key]));
    else if (a.compare(b, y.start, y.end, x.start, x.end) !== 0)
      collectChanges(
        parseJson(a.toString('utf8', x.start, x.end)),
        parseJson(b.toString('utf8', y.start, y.end)),
        [key],
        paths,
      );
  }
  return bounded(paths);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bounded(paths: string[]): string[] {
  const characters = (texts: readonly string[]) => texts.reduce((sum, { length }) => sum + length, 0);
  if (characters(paths) <= MAX_CHANGED_CHARACTERS) return paths.sort();
  const names = [...new Set(paths.map((path) => formatPath(splitPath(path).slice(0, 1))))].sort();
  while (characters(names) > MAX_CHANGED_CHARACTERS) names.pop();
  return names;
}

function collectChanges(before: JsonValue, after: JsonValue, path: string[], paths: string[]): void {
  if (isJsonObject(before) && isJsonObject(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const [a, b] = [
        Object.hasOwn(before, key) ? before[key] : undefined,
        Object.hasOwn(after, key) ? after[key] : undefined,
      ];
      if (a === undefined || b === undefined) paths.push(formatPath([...path, key]));
      else collectChanges(a, b, [...path, key], paths);
    }
  } else if (!sameJson(before, after)) paths.push(formatPath(path));
}

function sameJson(a: JsonValue, b: JsonValue): boolean {
  if (a === b) return true;
  if (a instanceof ExactNumber || b instanceof ExactNumber)
    return identity(a) !== undefined && identity(a) === identity(b);
  if (Array.isArray(a))
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => sameJson(item, b[i] ?? null));
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key] ?? null, b[key] ?? null))
  );
}

function identity(value: JsonValue): string | undefined {
  if (value instanceof ExactNumber) return value.normalForm();
  return typeof value === 'number' ? String(value) : undefined;
}
