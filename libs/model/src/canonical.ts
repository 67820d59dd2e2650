import {
  ExactNumber,
  isJsonObject,
  MAX_JSON_DEPTH,
  tooDeep,
  type JsonObject,
  type JsonValue,
} from './json.js';
import { ALL_FIELDS, isUnorderedKey, type ScopeNode } from './scope.js';

/** A value in canonical form. */
export interface CanonicalJson {
  /** RFC 8785: keys in UTF-16 order, no white space, strings as ECMAScript writes them; numbers as the source spelt them. */
  readonly text: string;
  /** The same with every number in normal form: equal for equal content. It is `text` itself but for unusual numbers. */
  readonly identity: string;
}

/** Canonical form of the part of a value that the scope allows. Throws TOO_DEEP. */
export function canonicalJson(value: JsonValue, scope: ScopeNode = ALL_FIELDS): CanonicalJson {
  const builder = new SortedBuilder();
  const sorted = builder.build(value, scope, 0);
  if (!builder.unordered) {
    const text = JSON.stringify(sorted ?? null);
    return { text, identity: text };
  }
  const text = write(value, scope, (number) => number.digits) ?? 'null';
  return {
    text,
    identity: builder.exact ? (write(value, scope, (number) => number.normalForm()) ?? 'null') : text,
  };
}

/**
 * Rebuilds a value in canonical key order, so that the engine's own JSON.stringify, which is many times faster than
 * any of ours, writes the canonical form. Some keys and numbers do not survive that; then `unordered` is set and the
 * caller writes the text by hand.
 */
class SortedBuilder {
  unordered = false;
  exact = false;

  build(value: JsonValue, scope: ScopeNode, depth: number): JsonValue | undefined {
    if (typeof value !== 'object' || value === null) return scope.all ? value : undefined;
    if (depth >= MAX_JSON_DEPTH) throw tooDeep();
    if (Array.isArray(value)) return this.#array(value, scope, depth);
    if (value instanceof ExactNumber) {
      this.unordered = this.exact = true;
      return scope.all ? null : undefined;
    }
    return scope.all ? this.#all(value, depth) : this.#named(value, scope, depth);
  }

  #array(value: JsonValue[], scope: ScopeNode, depth: number): JsonValue[] {
    const result: JsonValue[] = [];
    for (const item of value) {
      const built = this.build(item, scope, depth + 1);
      if (built !== undefined) result.push(built);
    }
    return result;
  }

  #all(value: JsonObject, depth: number): JsonObject {
    const result: JsonObject = {};
    for (const key of Object.keys(value).sort()) {
      if (isUnorderedKey(key)) this.unordered = true;
      else result[key] = this.build(value[key] ?? null, ALL_FIELDS, depth + 1) ?? null;
    }
    return result;
  }

  #named(value: JsonObject, scope: ScopeNode, depth: number): JsonObject {
    if (scope.unordered) this.unordered = true;
    const result: JsonObject = {};
    for (const name of scope.names) {
      if (!Object.hasOwn(value, name)) continue;
      const built = this.build(value[name] ?? null, scope.children.get(name) ?? ALL_FIELDS, depth + 1);
      if (built !== undefined && name !== '__proto__') result[name] = built;
    }
    return result;
  }
}

type NumberText = (number: ExactNumber) => string;

/** Writes canonical text piece by piece. The depth was bounded by SortedBuilder, which walks the same values. */
function write(value: JsonValue, scope: ScopeNode, numberText: NumberText): string | undefined {
  if (Array.isArray(value)) {
    const items = value.map((item) => write(item, scope, numberText));
    return `[${items.filter((item) => item !== undefined).join(',')}]`;
  }
  if (isJsonObject(value)) return writeObject(value, scope, numberText);
  if (!scope.all) return undefined;
  return value instanceof ExactNumber ? numberText(value) : JSON.stringify(value);
}

function writeObject(value: JsonObject, scope: ScopeNode, numberText: NumberText): string {
  const members: string[] = [];
  for (const key of scope.all ? Object.keys(value).sort() : scope.names) {
    if (!Object.hasOwn(value, key)) continue;
    const text = write(value[key] ?? null, scope.children.get(key) ?? ALL_FIELDS, numberText);
    if (text !== undefined) members.push(`${JSON.stringify(key)}:${text}`);
  }
  return `{${members.join(',')}}`;
}
