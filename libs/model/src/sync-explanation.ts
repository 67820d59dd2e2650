import type { PlannedSync } from './sync-policy.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Why a sync comes when it does, in plain English; of a delta also how far back it reads for late arrivals, if it does. */
export function explainSync(now: Date, sync: PlannedSync, overlapMs = 0): string {
  const late = overlapMs > 0 ? `; reads ${duration(overlapMs)} further back, for changes came late` : '';
  return `${explainCause(now, sync)}${late}`;
}

function explainCause(now: Date, sync: PlannedSync): string {
  const { cause } = sync;
  switch (cause.is) {
    case 'INTERVAL':
      return cause.last === undefined
        ? `${rhythm(sync)}, none has started yet`
        : `${rhythm(sync)}, last started ${clock(now, cause.last)}`;
    case 'COVERED':
      return `${rhythm(sync)}, and a full sync of ${clock(now, cause.full)} covers the one before`;
    case 'BACKING_OFF': {
      const times = cause.failures === 1 ? 'a failure' : `${cause.failures} failures in a row`;
      return `backing off after ${times}, the last at ${clock(now, cause.last)}`;
    }
    case 'DOWNTIME':
      return `caught up after a downtime, was due at ${clock(now, cause.missed)}`;
    case 'WAITING':
      return 'one waits for its turn';
    case 'RUNNING':
      return cause.since === undefined
        ? `one is running; ${rhythm(sync)}`
        : `one is running since ${clock(now, cause.since)}; ${rhythm(sync)}`;
    case 'PAUSED':
      return `a person paused one: resume or cancel it`;
    case 'NO_FULL_YET':
      return 'waits for the first full sync to succeed';
    case 'STOPPED':
      return cause.reason;
  }
}

function rhythm({ kind, intervalMs, webhooks }: PlannedSync): string {
  const because = { COME: ' while webhooks come', SILENT: ' because webhooks are silent' };
  return `${kind.toLowerCase()} every ${duration(intervalMs)}${webhooks === undefined ? '' : because[webhooks]}`;
}

/** A time of today, or of another day with its date; in UTC, as everything that is printed. */
function clock(now: Date, time: Date): string {
  const [date = '', rest = ''] = time.toISOString().split('T');
  const today = now.toISOString().startsWith(date);
  return `${today ? '' : `${date} `}${rest.slice(0, 8)} UTC`;
}

/** The two greatest units of a duration, such as `1 h 30 min`. */
function duration(ms: number): string {
  const units = [
    [DAY, 'd'],
    [HOUR, 'h'],
    [MINUTE, 'min'],
    [1_000, 's'],
  ] as const;
  let rest = Math.round(ms / 1_000) * 1_000;
  const parts: string[] = [];
  for (const [size, name] of units) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${name}`);
  }
  return parts.slice(0, 2).join(' ');
}
