/** JSON Schema formats that discovery tells apart, the more particular first. */
const FORMATS: readonly (readonly [string, (text: string) => boolean])[] = [
  ['date-time', isDateTime],
  ['date', isDate],
  ['email', (text) => /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(text)],
  ['uri', (text) => /^[a-z][a-z0-9+.-]*:\/\/\S+$/i.test(text)],
];

/** The format that one text has, if any. */
export function formatOf(text: string): string | undefined {
  if (text.length > 2048) return undefined;
  return FORMATS.find(([, matches]) => matches(text))?.[0];
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const time = Date.parse(`${text}T00:00:00Z`);
  // A date that does not exist, like 2026-02-30, is either refused or moved on.
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

function isDateTime(text: string): boolean {
  const match = /^(\d{4}-\d{2}-\d{2})[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/.exec(text);
  return match?.[1] !== undefined && isDate(match[1]) && !Number.isNaN(Date.parse(text.toUpperCase()));
}
