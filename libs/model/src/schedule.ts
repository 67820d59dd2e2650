import { TidemarkError, type FieldViolation } from './errors.js';
import { spreadOf } from './spread.js';
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

/** The kinds of syncs that come by themselves. */
export type ScheduledKind = Extract<SyncKind, 'FULL' | 'DELTA'>;

/** What is known of a model, as far as schedules mind. */
export interface ScheduledModel {
  readonly name: string;
  readonly delta: boolean;
  readonly webhook: boolean;
  /** Whether its webhooks have proven that they come. */
  readonly pushHealthy: boolean;
}

/** How often a kind of sync of a model comes. */
export interface SyncInterval {
  readonly model: string;
  readonly kind: ScheduledKind;
  readonly intervalMs: number;
  /** What the model's webhooks have to do with it; absent: nothing. */
  readonly webhooks?: 'COME' | 'SILENT';
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const SHORTEST_MS = 1_000;
const LONGEST_MS = 366 * DAY;

/**
 * How often the syncs of a connection come (R8): full every 3 h, with delta every 24 h; delta every 5 min, every 30 min while
 * webhooks come. Webhooks that are silent may be lost: then delta is as often as without them.
 */
export function syncIntervals(schedule: ScheduleSpec, models: readonly ScheduledModel[]): SyncInterval[] {
  return models.flatMap((model): SyncInterval[] => {
    const own = Object.hasOwn(schedule.models, model.name) ? schedule.models[model.name] : undefined;
    const full = own?.fullMs ?? schedule.fullMs ?? (model.delta ? 24 * HOUR : 3 * HOUR);
    const set = own?.deltaMs ?? schedule.deltaMs;
    const delta = model.delta ? (set ?? (pushes(model) ? 30 * MINUTE : 5 * MINUTE)) : 0;
    const webhooks =
      model.webhook && set === undefined
        ? { webhooks: model.pushHealthy ? ('COME' as const) : ('SILENT' as const) }
        : {};
    return [
      ...(full > 0 ? [{ model: model.name, kind: 'FULL' as const, intervalMs: full }] : []),
      ...(delta > 0 ? [{ model: model.name, kind: 'DELTA' as const, intervalMs: delta, ...webhooks }] : []),
    ];
  });
}

function pushes({ webhook, pushHealthy }: ScheduledModel): boolean {
  return webhook && pushHealthy;
}

/** The next turn of a daily job after `now`: at a time of the day that follows from its name, so that many of them spread out. */
export function nextDaily(now: Date, name: string): Date {
  const turn = Math.floor(now.getTime() / DAY) * DAY + Math.floor(spreadOf(name) * DAY);
  return new Date(turn > now.getTime() ? turn : turn + DAY);
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
