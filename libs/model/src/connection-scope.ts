import { fieldPaths, knowsPath } from './catalogue-schema.js';
import { TidemarkError, type FieldViolation } from './errors.js';
import { formatPath, parsePath } from './field-path.js';
import { compileScope, scopeContains } from './scope.js';

/** The allow-list of one model. */
export interface ModelScopeSpec {
  readonly model: string;
  /** Field paths. */
  readonly fields: readonly string[];
  /** Those paths within them that readers may filter on. */
  readonly indexFields: readonly string[];
}

/** A model as discovery found it, as far as scopes and orders mind. */
export interface CatalogueModel {
  readonly name: string;
  /** Its JSON Schema, parsed. */
  readonly schema: unknown;
  readonly primaryKey: readonly string[];
  readonly sensitiveFields: readonly string[];
  /** Field paths that readers may filter on. */
  readonly indexFields: readonly string[];
  readonly dependsOn: readonly string[];
}

const MAX_FIELDS = 2_000;
/** Most fields of one model that readers may filter on. */
export const MAX_INDEX_FIELDS = 16;

/** The scope of a connection that names none: every field of every model that is not marked sensitive, and the keys. */
export function defaultScope(catalogue: readonly CatalogueModel[]): ModelScopeSpec[] {
  return catalogue.map((model) => {
    const fields = withKeys(model, fieldPaths(model.schema, new Set(model.sensitiveFields)));
    return { model: model.name, fields, indexFields: within(fields, model.indexFields) };
  });
}

/**
 * The scope that a caller asked for, with the primary keys added. What is stored already (`before`) stays allowed though
 * the source no longer shows it. A model without index fields keeps those it has, or gets those of the catalogue, as far as
 * they lie in its scope. Throws REQUEST_INVALID or FIELD_UNKNOWN with every fault; `field` is where the request has the scope.
 */
export function validateScope(
  scope: readonly ModelScopeSpec[],
  catalogue: readonly CatalogueModel[],
  before: readonly ModelScopeSpec[] = [],
  field = 'spec.scope',
): ModelScopeSpec[] {
  const faults: Faults = { field, request: [], fields: [] };
  const seen = new Set<string>();
  const complete = scope.map((asked) => {
    const { model } = asked;
    if (seen.has(model))
      faults.request.push({ field: `${field}.models.${model}`, description: 'is listed twice' });
    seen.add(model);
    const known = catalogue.find(({ name }) => name === model);
    const stored = before.find((candidate) => candidate.model === model);
    return validateModel(asked, known, stored, faults);
  });
  if (scope.length === 0) faults.request.push({ field, description: 'names no model' });
  if (faults.request.length > 0) throw refusal('REQUEST_INVALID', [...faults.request, ...faults.fields]);
  if (faults.fields.length > 0) throw refusal('FIELD_UNKNOWN', faults.fields);
  return complete;
}

/** Faults of a scope: of its form, and fields that are not there. */
interface Faults {
  /** Where the request has the scope. */
  readonly field: string;
  readonly request: FieldViolation[];
  readonly fields: FieldViolation[];
}

function validateModel(
  { model, fields: paths, indexFields }: ModelScopeSpec,
  known: CatalogueModel | undefined,
  stored: ModelScopeSpec | undefined,
  faults: Faults,
): ModelScopeSpec {
  const field = `${faults.field}.models.${model}`;
  if (known === undefined && stored === undefined)
    faults.request.push({ field, description: 'is no model of the source' });
  if (paths.length > MAX_FIELDS)
    faults.request.push({ field, description: `has more than ${MAX_FIELDS} fields` });
  for (const path of unknownFields(paths, known, stored))
    faults.fields.push({ field: `${field}.${path}`, description: 'is no field of the model' });
  const fields = known === undefined ? [...new Set(paths)] : withKeys(known, paths);
  if (indexFields.length === 0)
    return { model, fields, indexFields: within(fields, stored?.indexFields ?? known?.indexFields ?? []) };
  const index = [...new Set(indexFields)];
  if (index.length > MAX_INDEX_FIELDS)
    faults.request.push({ field, description: `has more than ${MAX_INDEX_FIELDS} index fields` });
  const inScope = within(fields, index, index.length);
  for (const path of index.filter((each) => !inScope.includes(each)))
    faults.request.push({ field: `${field}.${path}`, description: 'is an index field but not in the scope' });
  for (const path of unknownFields(inScope, known, stored))
    faults.fields.push({ field: `${field}.${path}`, description: 'is no field of the model' });
  return { model, fields, indexFields: index };
}

/** Those of some field paths that a scope allows, the first 16. */
function within(
  fields: readonly string[],
  paths: readonly string[],
  most: number = MAX_INDEX_FIELDS,
): string[] {
  const allowed = compileScope(fields);
  return [...new Set(paths)].filter((path) => scopeContains(allowed, compileScope([path]))).slice(0, most);
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

/** How a scope differs from the one before it. Names of models; one may be widened, narrowed and indexed anew at once. */
export interface ScopeDifference {
  /** They gain fields, or are new. */
  readonly widened: readonly string[];
  /** They lose fields. */
  readonly narrowed: readonly string[];
  /** They are no longer in it. */
  readonly removed: readonly string[];
  /** They were in it before and have other index fields now. */
  readonly indexChanged: readonly string[];
}

/** Compares a scope with the one before it. The order of models and fields, and fields that others include, say nothing. */
export function compareScopes(
  before: readonly ModelScopeSpec[],
  after: readonly ModelScopeSpec[],
): ScopeDifference {
  const pairs = after.map((now) => ({ now, old: before.find(({ model }) => model === now.model) }));
  const names = (test: (old: ModelScopeSpec | undefined, now: ModelScopeSpec) => boolean): string[] =>
    pairs.filter(({ old, now }) => test(old, now)).map(({ now }) => now.model);
  return {
    widened: names((old, now) => old === undefined || !contains(old, now)),
    narrowed: names((old, now) => old !== undefined && !contains(now, old)),
    removed: before
      .filter(({ model }) => !after.some((now) => now.model === model))
      .map(({ model }) => model),
    indexChanged: names((old, now) => old !== undefined && !sameNames(old.indexFields, now.indexFields)),
  };
}

/** Whether a scope differs from the one before it at all. */
export function isScopeChanged({ widened, narrowed, removed, indexChanged }: ScopeDifference): boolean {
  return widened.length + narrowed.length + removed.length + indexChanged.length > 0;
}

function contains(outer: ModelScopeSpec, inner: ModelScopeSpec): boolean {
  return scopeContains(compileScope(outer.fields), compileScope(inner.fields));
}

function sameNames(some: readonly string[], others: readonly string[]): boolean {
  return JSON.stringify([...new Set(some)].sort()) === JSON.stringify([...new Set(others)].sort());
}
