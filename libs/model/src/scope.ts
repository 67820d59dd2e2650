import { isJsonObject, MAX_JSON_DEPTH, tooDeep, type JsonValue } from './json.js';
import { formatPath, parsePath } from './field-path.js';

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
export function scopeViolation(
  value: JsonValue,
  scope: ScopeNode,
  path: string[] = [],
  depth = 0,
): string | undefined {
  if (depth > MAX_JSON_DEPTH) throw tooDeep();
  if (scope.all) return undefined;
  if (Array.isArray(value)) return first(value, (item) => scopeViolation(item, scope, path, depth + 1));
  if (!isJsonObject(value)) return formatPath(path);
  return first(Object.keys(value), (key) => {
    const child = scope.children.get(key);
    const below = [...path, key];
    return child ? scopeViolation(value[key] ?? null, child, below, depth + 1) : formatPath(below);
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

function first<T>(items: readonly T[], find: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}
