import { RejectedRecordError } from '@tidemark/model';

/** Values that a record may hold: parsed, an empty object takes thirty times the bytes of its text. */
export const MAX_VALUES = 250_000;

/** The record holds more values than the bound. */
export const TOO_MANY_FAULT = new RejectedRecordError('TOO_LARGE', `more than ${MAX_VALUES} values`);

/** Throws TOO_MANY_FAULT for JSON texts that hold more values than one record may. Short ones cost nothing. */
export function demandFewValues(texts: readonly string[]): void {
  // Each value but the first of a text follows a character of its own.
  if (texts.reduce((sum, { length }) => sum + length, 0) <= MAX_VALUES) return;
  if (texts.reduce((sum, text) => sum + countValues(text), 0) > MAX_VALUES) throw TOO_MANY_FAULT;
}

/** Values of a well-formed JSON text at most; of any other text, some number. */
function countValues(text: string): number {
  let count = 1;
  for (let at = 0; ;) {
    const quote = text.indexOf('"', at);
    count += countSeparators(text, at, quote < 0 ? text.length : quote);
    if (quote < 0) return count;
    at = stringEnd(text, quote);
  }
}

function countSeparators(text: string, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at++) {
    const char = text.charCodeAt(at);
    if (char === 0x2c || char === 0x5b || char === 0x7b) count++;
  }
  return count;
}

/** Where the text goes on after the string that begins at a quote. */
function stringEnd(text: string, quote: number): number {
  for (let end = text.indexOf('"', quote + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return end + 1;
  }
  return text.length;
}
