import { TidemarkError, type FieldViolation } from './errors.js';
import type { SyncKind } from './sync-run.js';

/** When syncs run, in milliseconds between two of them; 0: never by itself. */
export interface Intervals {
  readonly fullMs?: number;
  readonly deltaMs?: number;
}

/** A connection's intervals, and those of single models over them. */
export interface ScheduleSpec extends Intervals {
  readonly models: Readonly<Record<string, Intervals>>;
}

/** What the source can do for a model, as far as schedules mind. */
export interface ScheduledModel {
  readonly name: string;
  readonly delta: boolean;
  readonly webhook: boolean;
}

/** One repeating wake-up. */
export interface DueEntry {
  readonly model: string;
  readonly kind: SyncKind;
  readonly intervalMs: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const SHORTEST_MS = 1_000;
const LONGEST_MS = 366 * DAY;

/** The wake-ups of a connection (R8): full every 3 h, with delta every 24 h; delta every 5 min, with webhooks every 30 min. */
export function dueEntries(schedule: ScheduleSpec, models: readonly ScheduledModel[]): DueEntry[] {
  return models.flatMap((model): DueEntry[] => {
    const own = Object.hasOwn(schedule.models, model.name) ? schedule.models[model.name] : undefined;
    const full = own?.fullMs ?? schedule.fullMs ?? (model.delta ? 24 * HOUR : 3 * HOUR);
    const delta = model.delta
      ? (own?.deltaMs ?? schedule.deltaMs ?? (model.webhook ? 30 * MINUTE : 5 * MINUTE))
      : 0;
    return [
      ...(full > 0 ? [{ model: model.name, kind: 'FULL' as const, intervalMs: full }] : []),
      ...(delta > 0 ? [{ model: model.name, kind: 'DELTA' as const, intervalMs: delta }] : []),
    ];
  });
}

/** When a wake-up first comes: after half an interval to a whole one, so that connections made together spread out. */
export function firstDue(now: Date, intervalMs: number, random: number): Date {
  return new Date(now.getTime() + Math.round(intervalMs * (0.5 + random / 2)));
}

/** The next turn of a daily job after `now`: at a time of the day that follows from its name, so that many of them spread out. */
export function nextDaily(now: Date, name: string): Date {
  const turn = Math.floor(now.getTime() / DAY) * DAY + Math.floor((hash(name) / 2 ** 32) * DAY);
  return new Date(turn > now.getTime() ? turn : turn + DAY);
}

/** FNV-1a of 32 bits, and the end of MurmurHash3, without which names that differ in their last letter lie close together. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const char of text) value = Math.imul(value ^ (char.codePointAt(0) ?? 0), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/** Throws REQUEST_INVALID with every faulty interval: each is 0, or 1 s to 366 days. */
export function validateSchedule(schedule: ScheduleSpec): void {
  const violations: FieldViolation[] = [];
  const check = (path: string, { fullMs, deltaMs }: Intervals): void => {
    if (!isInterval(fullMs)) violations.push({ field: `${path}.full_interval`, description: ALLOWED });
    if (!isInterval(deltaMs)) violations.push({ field: `${path}.delta_interval`, description: ALLOWED });
  };
  check('spec.schedule', schedule);
  for (const [model, intervals] of Object.entries(schedule.models))
    check(`spec.schedule.models.${model}`, intervals);
  if (violations.length > 0)
    throw new TidemarkError('REQUEST_INVALID', `an interval of the schedule ${ALLOWED}`, { violations });
}

const ALLOWED = 'is 0 s (never) or 1 s to 366 days';

function isInterval(ms: number | undefined): boolean {
  return ms === undefined || ms === 0 || (Number.isFinite(ms) && ms >= SHORTEST_MS && ms <= LONGEST_MS);
}
