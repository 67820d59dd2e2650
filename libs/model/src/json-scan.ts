import { isUtf8 } from 'node:buffer';
import { MAX_JSON_DEPTH } from './json.js';
import { ALL_FIELDS, type ScopeNode } from './scope.js';

/** Where a value lies among the bytes of a payload: its first byte, and the one after its last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const SPACE = 0x20;
const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const UPPER_E = 0x45;
const LOWER_E = 0x65;
/** The first byte of characters that take two code units in UTF-16: there, the order of bytes is another one. */
const ASTRAL = 0xf0;
/** What canonical JSON escapes by one character. Its other escapes are rare, and left to the parser. */
const ESCAPED = new Set([...'"\\bfnrt'].map((char) => char.charCodeAt(0)));
const LITERALS = new Map(['true', 'false', 'null'].map((text) => [text.charCodeAt(0), Buffer.from(text)]));

/**
 * Proves that bytes are canonical JSON, so that no key comes twice and hides what the first one held, and that the scope
 * allows all of it: in one pass that builds no values, many times faster than parsing. False proves nothing: parse, to learn
 * what it is.
 */
export function provesWithinScope(bytes: Uint8Array, scope: ScopeNode): boolean {
  if (!isUtf8(bytes)) return false;
  const scanner = new Scanner(bytes);
  return scanner.value(scope, 0) && scanner.atEnd;
}

/** The members of an object in canonical JSON by key; undefined for what is not that. */
export function memberSpans(bytes: Buffer): Map<string, Span> | undefined {
  const scanner = new Scanner(bytes);
  const members = new Map<string, Span>();
  const found = scanner.object(ALL_FIELDS, 0, (keyStart, keyEnd, start, end) => {
    const raw = bytes.toString('utf8', keyStart, keyEnd);
    members.set(raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw, { start, end });
  });
  return found && scanner.atEnd ? members : undefined;
}

/** One allowed name, as its bytes. */
interface NamedNode {
  readonly name: Uint8Array;
  readonly node: ScopeNode;
}

const named = new WeakMap<ScopeNode, readonly NamedNode[]>();

function namesOf(scope: ScopeNode): readonly NamedNode[] {
  let names = named.get(scope);
  if (names === undefined) {
    names = [...scope.children].map(([name, node]) => ({ name: Buffer.from(name), node }));
    named.set(scope, names);
  }
  return names;
}

type Member = (keyStart: number, keyEnd: number, start: number, end: number) => void;

/** A position in bytes that moves over one value at a time; each method tells whether it could. */
class Scanner {
  #at = 0;
  /** Where the last escape stood. */
  #escape = -1;

  constructor(readonly bytes: Uint8Array) {}

  get atEnd(): boolean {
    return this.#at === this.bytes.length;
  }

  value(scope: ScopeNode, depth: number): boolean {
    switch (this.bytes[this.#at]) {
      case OPEN_OBJECT:
        return this.object(scope, depth);
      case OPEN_ARRAY:
        return this.#array(scope, depth);
      case QUOTE:
        return scope.all && this.#string();
      default:
        return scope.all && (this.#literal() || this.#number());
    }
  }

  object(scope: ScopeNode, depth: number, member?: Member): boolean {
    const { bytes } = this;
    if (depth >= MAX_JSON_DEPTH || bytes[this.#at] !== OPEN_OBJECT) return false;
    if (bytes[++this.#at] === CLOSE_OBJECT) return this.#next();
    const names = scope.all ? [] : namesOf(scope);
    for (let [lastStart, lastEnd] = [0, -1]; ;) {
      const keyStart = this.#at + 1;
      if (bytes[this.#at] !== QUOTE || !this.#string()) return false;
      const keyEnd = this.#at - 1;
      if (member === undefined && !this.#follows(lastStart, lastEnd, keyStart, keyEnd)) return false;
      [lastStart, lastEnd] = [keyStart, keyEnd];
      const node = scope.all ? scope : this.#find(names, keyStart, keyEnd);
      if (node === undefined || bytes[this.#at++] !== COLON) return false;
      const start = this.#at;
      if (!this.value(node, depth + 1)) return false;
      member?.(keyStart, keyEnd, start, this.#at);
      const after = bytes[this.#at++];
      if (after === CLOSE_OBJECT) return true;
      if (after !== COMMA) return false;
    }
  }

  /** Whether a key certainly comes after the one before it in canonical order. There is none before the first. */
  #follows(lastStart: number, lastEnd: number, start: number, end: number): boolean {
    if (this.#escape >= start) return false;
    if (lastEnd < 0) return true;
    const { bytes } = this;
    const shorter = Math.min(lastEnd - lastStart, end - start);
    for (let i = 0; i < shorter; i++) {
      const [before = 0, after = 0] = [bytes[lastStart + i], bytes[start + i]];
      if (before !== after) return before < after && after < ASTRAL;
    }
    return lastEnd - lastStart < end - start;
  }

  #array(scope: ScopeNode, depth: number): boolean {
    if (depth >= MAX_JSON_DEPTH) return false;
    if (this.bytes[++this.#at] === CLOSE_ARRAY) return this.#next();
    for (;;) {
      if (!this.value(scope, depth + 1)) return false;
      const after = this.bytes[this.#at++];
      if (after === CLOSE_ARRAY) return true;
      if (after !== COMMA) return false;
    }
  }

  #next(): true {
    this.#at++;
    return true;
  }

  /** The node of a name that is spelt as in the scope; one with escapes is left to the parser. */
  #find(names: readonly NamedNode[], start: number, end: number): ScopeNode | undefined {
    const { bytes } = this;
    for (const { name, node } of names) {
      if (name.length !== end - start) continue;
      let i = 0;
      while (i < name.length && name[i] === bytes[start + i]) i++;
      if (i === name.length) return node;
    }
    return undefined;
  }

  #string(): boolean {
    const { bytes } = this;
    for (let at = this.#at + 1; ; at++) {
      const byte = bytes[at];
      if (byte === QUOTE) {
        this.#at = at + 1;
        return true;
      }
      if (byte === undefined || byte < SPACE) return false;
      if (byte !== BACKSLASH) continue;
      this.#escape = at;
      if (!ESCAPED.has(bytes[++at] ?? 0)) return false;
    }
  }

  #literal(): boolean {
    const { bytes } = this;
    const literal = LITERALS.get(bytes[this.#at] ?? 0);
    if (literal === undefined) return false;
    for (let i = 1; i < literal.length; i++) if (bytes[this.#at + i] !== literal[i]) return false;
    this.#at += literal.length;
    return true;
  }

  #number(): boolean {
    const { bytes } = this;
    if (bytes[this.#at] === MINUS) this.#at++;
    if (bytes[this.#at] === ZERO) this.#at++;
    else if (!this.#digits()) return false;
    if (bytes[this.#at] === POINT) {
      this.#at++;
      if (!this.#digits()) return false;
    }
    if (bytes[this.#at] !== LOWER_E && bytes[this.#at] !== UPPER_E) return true;
    const sign = bytes[++this.#at];
    if (sign === MINUS || sign === PLUS) this.#at++;
    return this.#digits();
  }

  #digits(): boolean {
    const start = this.#at;
    for (let byte = this.bytes[this.#at]; byte !== undefined && byte >= ZERO && byte <= NINE;)
      byte = this.bytes[++this.#at];
    return this.#at > start;
  }
}
