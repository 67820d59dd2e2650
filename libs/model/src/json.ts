import { RejectedRecordError } from './rejected-record.js';

/** A JSON value whose numbers keep the source's digits. Objects are plain data: any key is an own property. */
export type JsonValue = null | boolean | number | string | ExactNumber | JsonValue[] | JsonObject;
export interface JsonObject {
  [key: string]: JsonValue;
}

/** Levels of nesting that a record may have. */
export const MAX_JSON_DEPTH = 64;

/** A number whose spelling in the source a double would not give back: `1.10`, `12345678901234567890`, `1e400`. */
export class ExactNumber {
  constructor(readonly digits: string) {}

  /**
   * The number's identity: two spellings of one decimal value have the same. Where the nearest double prints the same
   * decimal value, it is that (RFC 8785) spelling, so `1.10` is `1.1` and `1e2` is `100`; where it does not, it is
   * the exact value as `<digits>e<exponent>`, so that 12345678901234567890 and …891 stay two numbers.
   */
  normalForm(): string {
    const exact = decimalForm(this.digits);
    const double = String(Number(this.digits));
    return Number.isFinite(Number(this.digits)) && decimalForm(double) === exact ? double : exact;
  }

  toString(): string {
    return this.digits;
  }
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const NUMBERS = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

// A number, outside strings but for rare look-alikes, that String(Number(text)) may spell differently: minus zero,
// 16 digits and points or more, trailing zeros of a fraction, six leading ones, an exponent.
const INEXACT = /(?:^|[[,]|":)\s*(?:-0(?![\d.])|-?(?:[\d.]{16}|\d+\.\d*0(?!\d)|0\.0{6}|\d[\d.]*[eE]))/;

// In tagged text a string that begins with NUL is `n` + digits of a number, or `s` + the string itself.
const TAG = '\\u0000';

/**
 * Parses JSON without losing a digit. Throws MALFORMED for what is not JSON. Text without unusual numbers costs one
 * regular expression more than JSON.parse.
 */
export function parseJson(text: string): JsonValue {
  if (!INEXACT.test(text)) return parseNative(text);
  parseNative(text); // proves the text to be JSON, so that what follows may rely on its grammar
  return untag(parseNative(tagNumbers(text)), 0);
}

/** A JSON number from its text: a double where that spells it the same, else exact; undefined if it is no JSON number. */
export function numberFromText(text: string): number | ExactNumber | undefined {
  if (!NUMBER.test(text)) return undefined;
  return keepsSpelling(text) ? Number(text) : new ExactNumber(text);
}

/** True for an object that is neither null, an array nor a number. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber)
  );
}

/** Sets a key as data, whatever its name: `__proto__` too. */
export function setKey(object: JsonObject, key: string, value: JsonValue): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  } else object[key] = value;
}

function parseNative(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    // JSON.parse quotes the text in its message, which may be personal.
    throw new RejectedRecordError('MALFORMED', 'not well-formed JSON');
  }
}

function keepsSpelling(token: string): boolean {
  return String(Number(token)) === token;
}

function tagNumbers(text: string): string {
  const parts: string[] = [];
  for (let at = 0; ;) {
    const quote = text.indexOf('"', at);
    const outside = quote < 0 ? text.slice(at) : text.slice(at, quote);
    parts.push(outside.replace(NUMBERS, (token) => (keepsSpelling(token) ? token : `"${TAG}n${token}"`)));
    if (quote < 0) return parts.join('');
    const end = closingQuote(text, quote);
    const string = text.slice(quote + 1, end);
    parts.push('"', string.startsWith(TAG) ? `${TAG}s` : '', string, '"');
    at = end + 1;
  }
}

function closingQuote(text: string, opening: number): number {
  for (let end = text.indexOf('"', opening + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return end;
  }
}

function untag(value: JsonValue, depth: number): JsonValue {
  if (depth > MAX_JSON_DEPTH) throw tooDeep();
  if (typeof value === 'string') return untagString(value);
  if (Array.isArray(value)) return value.map((item) => untag(item, depth + 1));
  if (!isJsonObject(value)) return value;
  const result: JsonObject = {};
  for (const key of Object.keys(value)) setKey(result, untagKey(key), untag(value[key] ?? null, depth + 1));
  return result;
}

function untagString(value: string): string | ExactNumber {
  if (value.charCodeAt(0) !== 0) return value;
  return value[1] === 'n' ? new ExactNumber(value.slice(2)) : value.slice(2);
}

function untagKey(key: string): string {
  return key.charCodeAt(0) === 0 ? key.slice(2) : key;
}

/** The rejection of a record that is nested too deeply. */
export function tooDeep(): RejectedRecordError {
  return new RejectedRecordError('TOO_DEEP', `nested deeper than ${MAX_JSON_DEPTH} levels`);
}

/** A decimal's value as `-<digits>e<exponent>` without leading or trailing zeros; `0` for zero. */
function decimalForm(token: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  const trimmed = digits.replace(/0+$/, '');
  if (trimmed === '') return '0';
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - trimmed.length);
  return `${sign}${trimmed}e${power}`;
}
