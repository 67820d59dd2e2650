import { usageError } from './usage.js';

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const DURATION = /^(?:\d+(?:\.\d+)?[smhdw])+$/;
const ISO = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2}))?$/;

/** Seconds of a duration such as `3h`, `90s` or `1h30m`; undefined if it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') {
    return 0;
  }
  if (!DURATION.test(text)) {
    return undefined;
  }
  const parts = text.matchAll(/(\d+(?:\.\d+)?)([smhdw])/g);
  let seconds = 0;
  for (const [, count = '0', unit = 's'] of parts) {
    seconds += Number(count) * (UNIT_SECONDS[unit] ?? 0);
  }
  return seconds;
}

/** A moment: ISO 8601 with its zone (a bare date is midnight UTC), or `-10m` for ten minutes before now. */
export function parseMoment(text: string, option: string, now: Date): Date {
  const seconds = text.startsWith('-') ? parseDuration(text.slice(1)) : undefined;
  const moment =
    seconds !== undefined
      ? new Date(now.getTime() - seconds * 1000)
      : new Date(ISO.test(text) ? text : Number.NaN);
  if (Number.isNaN(moment.getTime())) {
    throw usageError(
      `${option} takes a time such as 2026-01-31T08:00:00Z (with Z or an offset), or -10m for ten minutes ago.`,
    );
  }
  return moment;
}

/** A time for people: ISO 8601 in UTC; a dash when there is none. */
export function formatTime(time: Date | undefined): string {
  return time === undefined ? '-' : time.toISOString();
}

/** A duration for people: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) {
    return `${String(Math.round(seconds * 10) / 10)} s`;
  }
  const whole = Math.round(seconds);
  if (whole < 60) {
    return `${String(whole)} s`;
  }
  const [big, small, names] =
    whole < 3600
      ? [Math.floor(whole / 60), whole % 60, ['min', 's']]
      : [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), ['h', 'min']];
  return small === 0
    ? `${String(big)} ${names[0] ?? ''}`
    : `${String(big)} ${names[0] ?? ''} ${String(small)} ${names[1] ?? ''}`;
}

/** A count for people: `25,000`. */
export function formatCount(count: bigint | number): string {
  return count.toLocaleString('en-US');
}
