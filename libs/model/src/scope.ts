import { ExactNumber, isJsonObject, MAX_JSON_DEPTH, tooDeep, type JsonValue } from './json.js';
import { formatPath, parsePath, splitPath } from './field-path.js';

/**
 * An allow-list of fields as a tree. `all` allows everything below; else only the named fields, each with a node of
 * its own. Arrays are passed through: a node applies to each of their items.
 */
export interface ScopeNode {
  readonly all: boolean;
  /** Allowed names in canonical (UTF-16 code unit) order. */
  readonly names: readonly string[];
  readonly children: ReadonlyMap<string, ScopeNode>;
  /** Whether a name is one that JavaScript objects do not keep in order as data (`7`, `__proto__`). */
  readonly unordered: boolean;
}

/** Allows everything. */
export const ALL_FIELDS: ScopeNode = { all: true, names: [], children: new Map(), unordered: false };

/** True for a key that a plain object would put out of order or take for something else. */
export function isUnorderedKey(key: string): boolean {
  const first = key.charCodeAt(0);
  return (first >= 48 && first <= 57) || key === '__proto__';
}

interface Draft {
  all: boolean;
  children: Map<string, Draft>;
}

/** Compiles field paths into an allow-list; no path allows nothing. A path allows all that lies below it. */
export function compileScope(fields: readonly string[]): ScopeNode {
  const root: Draft = { all: false, children: new Map() };
  for (const field of fields) {
    let draft = root;
    for (const name of parsePath(field)) {
      let child = draft.children.get(name);
      if (!child) draft.children.set(name, (child = { all: false, children: new Map() }));
      draft = child;
    }
    draft.all = true;
  }
  return freeze(root);
}

function freeze(draft: Draft): ScopeNode {
  if (draft.all) return ALL_FIELDS;
  const names = [...draft.children.keys()].sort();
  const children = new Map([...draft.children].map(([name, child]) => [name, freeze(child)]));
  return { all: false, names, children, unordered: names.some(isUnorderedKey) };
}

/**
 * The path of the first field of a value that the scope does not allow; undefined if there is none. Throws TOO_DEEP.
 * A scalar where the scope expects named fields counts as not allowed; `projectJson` leaves such values out.
 */
export function scopeViolation(value: JsonValue, scope: ScopeNode, path: string[] = []): string | undefined {
  if (path.length > MAX_JSON_DEPTH) throw tooDeep();
  if (scope.all) return undefined;
  if (Array.isArray(value)) return first(value, (item) => scopeViolation(item, scope, path));
  if (!isJsonObject(value)) return formatPath(path);
  return first(Object.keys(value), (key) => {
    const child = scope.children.get(key);
    const below = [...path, key];
    return child ? scopeViolation(value[key] ?? null, child, below) : formatPath(below);
  });
}

/** Whether every field that `inner` allows is allowed by `outer` too. */
export function scopeContains(outer: ScopeNode, inner: ScopeNode): boolean {
  if (outer.all) return true;
  if (inner.all) return false;
  return inner.names.every((name) => {
    const allowed = outer.children.get(name);
    const asked = inner.children.get(name);
    return allowed !== undefined && asked !== undefined && scopeContains(allowed, asked);
  });
}

/** Most characters of a change's field paths together, so that the log entry of a page stays far below 16 MiB. */
const MAX_CHANGED_CHARACTERS = 4_096;

/**
 * Field paths in which two values differ, sorted; arrays are compared as a whole. Past 4,096 characters of paths their
 * top-level names stand for them, as many as fit.
 */
export function changedFields(before: JsonValue, after: JsonValue): string[] {
  const paths: string[] = [];
  collectChanges(before, after, [], paths);
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

function first<T>(items: readonly T[], find: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}
