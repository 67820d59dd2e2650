import type { StreamRecordsRequest } from '@tidemark/contracts';
import {
  canonicalJson,
  compileScope,
  parseJson,
  scopeContains,
  TidemarkError,
  type ScopeNode,
} from '@tidemark/model';
import type { ConnectionDocument } from './mongo-collections.js';
import { modelScope } from './mongo-connections.js';

const MAX_MODELS = 100;
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

/** Refuses what this server does not offer, and faulty values, before anything is read. */
export function checkStreamRequest(request: StreamRecordsRequest): void {
  if (Object.keys(request.filter).length > 0) {
    throw new TidemarkError(
      'FILTER_UNSUPPORTED',
      'no field of this connection is declared as an index field, so none can be filtered on',
    );
  }
  if (request.asOf !== undefined) {
    throw new TidemarkError(
      'FEATURE_UNSUPPORTED',
      'a whole model as of a time is not offered yet; single records are: GetRecord with as_of',
    );
  }
  if (request.limit < 0n) throw invalidField('limit', '0 for none, or a positive number');
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
  return (payload) => {
    const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString();
    return Buffer.from(canonicalJson(parseJson(text), wanted).text);
  };
}
