/** Control characters (terminals obey them), line separators, and what turns the reading direction around. */
const DANGEROUS = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const INVISIBLE = /^[\p{Mark}\p{Format}]$/u;

/** Text that a terminal shows and never obeys: control characters become visible escapes. */
export function printable(text: string): string {
  return text.replace(DANGEROUS, escape);
}

/** One line of JSON, the same value, in text that a terminal shows and never obeys: DEL and C1 may stand raw in strings. */
export function printableJson(json: string): string {
  return json.replace(DANGEROUS, escape);
}

/** Columns that text takes in a terminal. */
export function widthOf(text: string): number {
  let width = 0;
  for (const char of text) {
    width += INVISIBLE.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
  }
  return width;
}

/** Text cut to a number of columns, with an ellipsis when something is missing. */
export function fit(text: string, columns: number): string {
  if (widthOf(text) <= columns) {
    return text;
  }
  let kept = '';
  let width = 0;
  for (const char of text) {
    width += widthOf(char);
    if (width > columns - 1) {
      break;
    }
    kept += char;
  }
  return `${kept}…`;
}

function escape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
