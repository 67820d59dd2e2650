import {
  ConnectionState as WireState,
  type Budget,
  type Connection as ConnectionMessage,
  type Guard,
  type Model,
  type ModelSchedule,
  type Schedule,
  type Scope,
} from '@tidemark/contracts';
import {
  TidemarkError,
  type ConnectionState,
  type FieldViolation,
  type Intervals,
  type RateBudget,
  type ScheduleSpec,
} from '@tidemark/model';
import type { CatalogueEntry, Connection, ConnectionScope, GuardSpec } from './connection.js';

/** A budget without a burst lets 10 s of its rate come together. */
const BURSTS_PER_MINUTE = 6;
const MAX_BUDGET = 1_000_000;

type DurationMessage = NonNullable<ModelSchedule['fullInterval']>;

/** A connection's message. The credentials never leave. */
export function toConnectionMessage(connection: Connection): ConnectionMessage {
  return {
    id: connection.id,
    connector: connection.connector,
    config: connection.config,
    scope: toScopeMessage(connection.scope),
    schedule: toScheduleMessage(connection.schedule),
    guard: {
      maxDeletedShare: connection.guard.maxDeletedShare,
      minDeletedRecords: connection.guard.minDeletedRecords,
      maxQuarantinedShare: connection.guard.maxQuarantinedShare,
    },
    state: toStateMessage(connection.state),
    stateReason: connection.stateReason,
    catalogue: connection.catalogue.map(toModelMessage),
    createTime: connection.createTime,
    updateTime: connection.updateTime,
    hasCredentials: connection.sealedCredentials !== undefined,
    budget: connection.budget && { ...connection.budget },
  };
}

/** A scope's message. */
export function toScopeMessage({ models, revision }: ConnectionScope): Scope {
  return {
    models: models.map(({ model, fields, indexFields }) => ({
      model,
      fields: [...fields],
      indexFields: [...indexFields],
    })),
    revision: BigInt(revision),
  };
}

/** A state's number on the wire. */
export function toStateMessage(state: ConnectionState): WireState {
  switch (state) {
    case 'ACTIVE':
      return WireState.ACTIVE;
    case 'PAUSED':
      return WireState.PAUSED;
    case 'NEEDS_ATTENTION':
      return WireState.NEEDS_ATTENTION;
    case 'DISABLED':
      return WireState.DISABLED;
    case 'DELETING':
      return WireState.DELETING;
  }
}

/** A model's message. */
export function toModelMessage(model: CatalogueEntry): Model {
  return {
    name: model.name,
    jsonSchema: model.jsonSchema,
    primaryKey: [...model.primaryKey],
    capabilities: { ...model.capabilities },
    sensitiveFields: [...model.sensitiveFields],
    indexFields: [...model.indexFields],
    dependsOn: [...model.dependsOn],
    warnings: [...model.warnings],
  };
}

/** A model as a connector found it. */
export function fromModelMessage(model: Model): CatalogueEntry {
  const { full = true, delta = false, webhook = false, deltaDeletes = false } = model.capabilities ?? {};
  return {
    name: model.name,
    jsonSchema: model.jsonSchema,
    primaryKey: model.primaryKey,
    capabilities: { full, delta, webhook, deltaDeletes },
    sensitiveFields: model.sensitiveFields,
    indexFields: model.indexFields,
    dependsOn: model.dependsOn,
    warnings: model.warnings,
  };
}

function toScheduleMessage(schedule: ScheduleSpec): Schedule {
  const models = Object.entries(schedule.models).map(([model, own]): [string, ModelSchedule] => [
    model,
    toIntervals(own),
  ]);
  return { ...toIntervals(schedule), models: new Map(models) };
}

function toIntervals({ fullMs, deltaMs }: Intervals): ModelSchedule {
  return { fullInterval: toDuration(fullMs), deltaInterval: toDuration(deltaMs) };
}

/** A length of time in milliseconds as its message. */
export function toDuration(ms: number | undefined): DurationMessage | undefined {
  if (ms === undefined) return undefined;
  return { seconds: BigInt(Math.trunc(ms / 1_000)), nanos: Math.round((ms % 1_000) * 1e6) };
}

/** A schedule from its message. */
export function fromScheduleMessage(schedule: Schedule | undefined): ScheduleSpec {
  if (schedule === undefined) return { models: {} };
  const models = [...schedule.models].map(([model, own]): [string, Intervals] => [model, fromIntervals(own)]);
  return { ...fromIntervals(schedule), models: Object.fromEntries(models) };
}

function fromIntervals({ fullInterval, deltaInterval }: ModelSchedule): Intervals {
  return {
    ...(fullInterval === undefined ? {} : { fullMs: fromDuration(fullInterval) }),
    ...(deltaInterval === undefined ? {} : { deltaMs: fromDuration(deltaInterval) }),
  };
}

/** A duration in milliseconds. */
export function fromDuration({ seconds, nanos }: DurationMessage): number {
  return Number(seconds) * 1_000 + nanos / 1e6;
}

/** A budget from its message, with the burst that goes with its rate if it has none. Throws REQUEST_INVALID. */
export function fromBudgetMessage(budget: Budget | undefined): RateBudget | undefined {
  if (budget === undefined) return undefined;
  const { requestsPerMinute } = budget;
  const burst = budget.burst === 0 ? Math.ceil(requestsPerMinute / BURSTS_PER_MINUTE) : budget.burst;
  const violations: FieldViolation[] = [];
  const demand = (field: string, value: number): void => {
    if (!(value >= 1 && value <= MAX_BUDGET))
      violations.push({ field: `spec.budget.${field}`, description: `is 1 to ${MAX_BUDGET}` });
  };
  demand('requests_per_minute', requestsPerMinute);
  if (budget.burst !== 0) demand('burst', burst);
  if (violations.length > 0)
    throw new TidemarkError('REQUEST_INVALID', 'the budget is faulty', { violations });
  return { requestsPerMinute, burst };
}

/** A guard from its message. Throws REQUEST_INVALID. */
export function fromGuardMessage(guard: Guard | undefined): GuardSpec {
  const { maxDeletedShare, minDeletedRecords, maxQuarantinedShare } = guard ?? {};
  const violations: FieldViolation[] = [];
  const share = (field: string, value: number | undefined): void => {
    if (value !== undefined && !(value >= 0 && value <= 1))
      violations.push({ field: `spec.guard.${field}`, description: 'is 0 to 1' });
  };
  share('max_deleted_share', maxDeletedShare);
  share('max_quarantined_share', maxQuarantinedShare);
  if (minDeletedRecords !== undefined && minDeletedRecords < 0) {
    violations.push({ field: 'spec.guard.min_deleted_records', description: 'is 0 or more' });
  }
  if (violations.length > 0)
    throw new TidemarkError('REQUEST_INVALID', 'the guard is faulty', { violations });
  return {
    ...(maxDeletedShare === undefined ? {} : { maxDeletedShare }),
    ...(minDeletedRecords === undefined ? {} : { minDeletedRecords }),
    ...(maxQuarantinedShare === undefined ? {} : { maxQuarantinedShare }),
  };
}
