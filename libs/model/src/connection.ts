import { TidemarkError, type FieldViolation } from './errors.js';
import { formatPath, parsePath } from './field-path.js';
import { fieldPaths, knowsPath } from './catalogue-schema.js';
import type { ScheduleSpec } from './schedule.js';
import { compileScope, scopeContains } from './scope.js';

/** Whether a connection syncs. */
export type ConnectionState = 'ACTIVE' | 'PAUSED' | 'NEEDS_ATTENTION' | 'DELETING';

/** The allow-list of one model. */
export interface ModelScopeSpec {
  readonly model: string;
  /** Field paths. */
  readonly fields: readonly string[];
}

/** A model as discovery found it, as far as scopes and orders mind. */
export interface CatalogueModel {
  readonly name: string;
  /** Its JSON Schema, parsed. */
  readonly schema: unknown;
  readonly primaryKey: readonly string[];
  readonly sensitiveFields: readonly string[];
  readonly dependsOn: readonly string[];
}

const CONNECTION_ID = /^[a-z][a-z0-9-]{0,62}$/;
const MODEL_NAME = /^[A-Za-z0-9_.-]{1,128}$/;
const MAX_FIELDS = 2_000;

/** Whether a text can be a connection's id. */
export function isConnectionId(id: string): boolean {
  return CONNECTION_ID.test(id);
}

/** Whether a text can be a model's name. */
export function isModelName(name: string): boolean {
  return MODEL_NAME.test(name);
}

/** The scope of a connection that names none: every field of every model that is not marked sensitive, and the keys. */
export function defaultScope(catalogue: readonly CatalogueModel[]): ModelScopeSpec[] {
  return catalogue.map((model) => ({
    model: model.name,
    fields: withKeys(model, fieldPaths(model.schema, new Set(model.sensitiveFields))),
  }));
}

/**
 * The scope that a caller asked for, with the primary keys added. What is stored already (`before`) stays allowed though
 * the source no longer shows it. Throws REQUEST_INVALID or FIELD_UNKNOWN with every fault.
 */
export function validateScope(
  scope: readonly ModelScopeSpec[],
  catalogue: readonly CatalogueModel[],
  before: readonly ModelScopeSpec[] = [],
): ModelScopeSpec[] {
  const models: FieldViolation[] = [];
  const fields: FieldViolation[] = [];
  const seen = new Set<string>();
  const complete = scope.map(({ model, fields: paths }) => {
    const known = catalogue.find(({ name }) => name === model);
    const stored = before.find((candidate) => candidate.model === model);
    const path = `spec.scope.models.${model}`;
    if (seen.has(model)) models.push({ field: path, description: 'is listed twice' });
    seen.add(model);
    if (known === undefined && stored === undefined)
      models.push({ field: path, description: 'is no model of the source' });
    if (paths.length > MAX_FIELDS)
      models.push({ field: path, description: `has more than ${MAX_FIELDS} fields` });
    fields.push(
      ...unknownFields(paths, known, stored).map((field) => ({
        field: `${path}.${field}`,
        description: 'is no field of the model',
      })),
    );
    return { model, fields: known === undefined ? [...new Set(paths)] : withKeys(known, paths) };
  });
  if (scope.length === 0) models.push({ field: 'spec.scope', description: 'names no model' });
  if (models.length > 0) throw refusal('REQUEST_INVALID', [...models, ...fields]);
  if (fields.length > 0) throw refusal('FIELD_UNKNOWN', fields);
  return complete;
}

function unknownFields(
  paths: readonly string[],
  known: CatalogueModel | undefined,
  stored: ModelScopeSpec | undefined,
): string[] {
  const allowed = compileScope(stored?.fields ?? []);
  return paths.filter((path) => {
    const names = parsePath(path);
    if (
      known !== undefined &&
      (knowsPath(known.schema, names) || (names.length === 1 && known.primaryKey.includes(names[0] ?? '')))
    )
      return false;
    return stored === undefined || !scopeContains(allowed, compileScope([path]));
  });
}

function withKeys(model: CatalogueModel, fields: readonly string[]): string[] {
  return [...new Set([...model.primaryKey.map((name) => formatPath([name])), ...fields])];
}

function refusal(
  reason: 'REQUEST_INVALID' | 'FIELD_UNKNOWN',
  violations: readonly FieldViolation[],
): TidemarkError {
  const faults = violations.slice(0, 10).map(({ field, description }) => `${field} ${description}`);
  return new TidemarkError(reason, `the scope is faulty: ${faults.join('; ')}`, { violations });
}

/** Throws REQUEST_INVALID if a schedule names a model that is not in scope: its settings would silently never count. */
export function validateScheduleModels(schedule: ScheduleSpec, scope: readonly ModelScopeSpec[]): void {
  const known = new Set(scope.map(({ model }) => model));
  const violations = Object.keys(schedule.models)
    .filter((model) => !known.has(model))
    .map((model) => ({ field: `spec.schedule.models.${model}`, description: 'is no model in scope' }));
  if (violations.length === 0) return;
  const faults = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
  throw new TidemarkError('REQUEST_INVALID', `the schedule is faulty: ${faults}`, { violations });
}

/**
 * Throws REQUEST_INVALID if a model in scope would get another primary key: every record would be created under a new id and
 * deleted under its old one.
 */
export function refuseNewPrimaryKeys(
  scope: readonly ModelScopeSpec[],
  before: readonly Pick<CatalogueModel, 'name' | 'primaryKey'>[],
  after: readonly Pick<CatalogueModel, 'name' | 'primaryKey'>[],
): void {
  for (const { model } of scope) {
    const [old, fresh] = [before, after].map(
      (models) => models.find(({ name }) => name === model)?.primaryKey,
    );
    if (old === undefined || fresh === undefined || JSON.stringify(old) === JSON.stringify(fresh)) continue;
    const description = `would change the primary key of ${model}; delete the connection and create it anew`;
    throw new TidemarkError('REQUEST_INVALID', `the config ${description}`, {
      violations: [{ field: 'spec.config', description }],
    });
  }
}

/** The models to which a new scope adds something. Throws SCOPE_NARROWING_UNSUPPORTED if it takes something away. */
export function widenedModels(before: readonly ModelScopeSpec[], after: readonly ModelScopeSpec[]): string[] {
  for (const { model, fields } of before) {
    const next = after.find((candidate) => candidate.model === model);
    if (next !== undefined && scopeContains(compileScope(next.fields), compileScope(fields))) continue;
    const lost = next === undefined ? `model ${model}` : `fields of model ${model}`;
    const message = `the new scope takes away ${lost}, which is stored already; delete the connection and create it with the narrower scope`;
    throw new TidemarkError('SCOPE_NARROWING_UNSUPPORTED', message, { metadata: { model } });
  }
  return after
    .filter(({ model, fields }) => {
      const old = before.find((candidate) => candidate.model === model);
      return old === undefined || !scopeContains(compileScope(old.fields), compileScope(fields));
    })
    .map(({ model }) => model);
}

/** Models in an order in which each comes after those it depends on; where they go in circles, as given. */
export function inDependencyOrder(
  names: readonly string[],
  catalogue: readonly Pick<CatalogueModel, 'name' | 'dependsOn'>[],
): string[] {
  const wanted = new Set(names);
  const ordered = new Set<string>();
  const entered = new Set<string>();
  const visit = (name: string): void => {
    if (entered.has(name)) return;
    entered.add(name);
    for (const dependency of catalogue.find((model) => model.name === name)?.dependsOn ?? []) {
      if (wanted.has(dependency)) visit(dependency);
    }
    ordered.add(name);
  };
  names.forEach(visit);
  return [...ordered];
}
