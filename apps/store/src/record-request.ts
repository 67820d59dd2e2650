import { compileScope, scopeContains, TidemarkError, type ScopeNode } from '@tidemark/model';
import { filterTerms, type FilterTerm } from './index-fields.js';
import type { ConnectionDocument } from './mongo-collections.js';
import { modelScope } from './mongo-connections.js';
import { cutPayload } from './mongo-packs.js';

const MAX_MODELS = 100;
const MAX_FILTER_TERMS = 8;
const MAX_PAGE_SIZE = 1_000;
const DEFAULT_PAGE_SIZE = 500;

/** The error of one faulty request field. */
export function invalidField(field: string, description: string): TidemarkError {
  return new TidemarkError('REQUEST_INVALID', `${field}: ${description}`, {
    violations: [{ field, description }],
  });
}

/** The models asked for, all in scope when none is named. Throws MODEL_NOT_FOUND. */
export function requestedModels(connection: ConnectionDocument, models: readonly string[]): string[] {
  if (models.length > MAX_MODELS)
    throw new TidemarkError('LIMIT_EXCEEDED', `at most ${MAX_MODELS} models in one request`);
  for (const model of models) modelScope(connection, model);
  return models.length > 0 ? [...new Set(models)] : connection.scope.models.map(({ model }) => model);
}

/** A page size within its bounds; the default for 0. */
export function pageSize(
  asked: number,
  field: string,
  most = MAX_PAGE_SIZE,
  usual = DEFAULT_PAGE_SIZE,
): number {
  if (asked < 0 || asked > most) throw invalidField(field, `between 1 and ${most}, or 0 for ${usual}`);
  return asked === 0 ? usual : asked;
}

/** A moment in a request; REQUEST_INVALID if it is out of range. */
export function moment(date: Date, field: string): Date {
  if (Number.isNaN(date.getTime())) throw invalidField(field, 'is not a valid time');
  return date;
}

/** The terms of a filter. Throws FILTER_UNSUPPORTED for a field that is no index field of every model asked for. */
export function requestedFilter(
  connection: ConnectionDocument,
  models: readonly string[],
  filter: ReadonlyMap<string, string>,
): FilterTerm[] {
  const terms = filterTerms(filter);
  if (terms.length > MAX_FILTER_TERMS)
    throw new TidemarkError('LIMIT_EXCEEDED', `at most ${MAX_FILTER_TERMS} fields in one filter`);
  for (const { path } of terms) {
    for (const model of models) {
      const index = connection.scope.models.find((entry) => entry.model === model)?.index ?? [];
      if (!index.includes(path)) throw noIndex(model, path, index);
    }
  }
  const making = terms.length > 0 && connection.purge?.indexed.some((model) => models.includes(model));
  if (making)
    throw new TidemarkError(
      'SERVICE_UNAVAILABLE',
      'the index of this model is being made; try again shortly',
    );
  return terms;
}

function noIndex(model: string, path: string, index: readonly string[]): TidemarkError {
  const there = index.length > 0 ? `those are ${index.join(', ')}` : 'it has none';
  const description = `${path} is no index field of model ${model}; ${there}`;
  return new TidemarkError('FILTER_UNSUPPORTED', description, {
    violations: [{ field: 'filter', description }],
  });
}

/** How to cut payloads down to the fields asked for. Throws FIELD_UNKNOWN for a field that no model asked for has in scope. */
export function fieldCutter(
  connection: ConnectionDocument,
  models: readonly string[],
  fields: readonly string[],
): (payload: Uint8Array) => Uint8Array {
  if (fields.length === 0) return (payload) => payload;
  const scopes = models.map((model) => modelScope(connection, model));
  for (const field of fields) {
    const node = compileScope([field]);
    if (!scopes.some((scope) => scopeContains(scope, node))) {
      const description = `no model asked for has field ${field} in its scope`;
      throw new TidemarkError('FIELD_UNKNOWN', description, {
        violations: [{ field: 'fields', description }],
      });
    }
  }
  const wanted: ScopeNode = compileScope(fields);
  return (payload) => cutPayload(payload, wanted);
}
