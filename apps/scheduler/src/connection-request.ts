import {
  isConnectionId,
  TidemarkError,
  validateSchedule,
  type CatalogueModel,
  type FieldViolation,
  type ModelScopeSpec,
  type RateBudget,
  type ScheduleSpec,
} from '@tidemark/model';
import type { CatalogueEntry, ConnectionKey, GuardSpec } from './connection.js';

const MAX_SETTINGS_BYTES = 256 * 1024;

/** What a caller sets of a connection. */
export interface ConnectionRequest {
  readonly key: ConnectionKey;
  readonly connector: string;
  readonly config: Uint8Array;
  /** Empty: none, or those that are stored. */
  readonly credentials: Uint8Array;
  readonly scope: readonly ModelScopeSpec[] | undefined;
  readonly schedule: ScheduleSpec;
  readonly guard: GuardSpec;
  readonly budget: RateBudget | undefined;
}

/** Throws REQUEST_INVALID with every fault of a request that can be seen without its source. */
export function validateRequest({ key, config, credentials, schedule }: ConnectionRequest): void {
  const violations: FieldViolation[] = [];
  if (!isConnectionId(key.id)) {
    violations.push({
      field: 'spec.id',
      description: 'has 1 to 63 characters of a-z, 0-9 and -, and starts with a letter',
    });
  }
  if (!isJsonObject(config))
    violations.push({ field: 'spec.config', description: 'is a JSON object of at most 256 KiB' });
  if (credentials.byteLength > 0 && !isJsonObject(credentials)) {
    violations.push({ field: 'spec.credentials', description: 'is a JSON object of at most 256 KiB' });
  }
  if (violations.length > 0) {
    const faults = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
    throw new TidemarkError('REQUEST_INVALID', `the connection is faulty: ${faults}`, { violations });
  }
  validateSchedule(schedule);
}

function isJsonObject(bytes: Uint8Array): boolean {
  if (bytes.byteLength > MAX_SETTINGS_BYTES) return false;
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    // JSON.parse quotes the text, which may hold a secret; the caller says what is wanted instead.
    return false;
  }
}

/** A model of the catalogue with its schema parsed. Throws SOURCE_CONTRACT_BROKEN. */
export function toCatalogueModel({
  name,
  jsonSchema,
  primaryKey,
  sensitiveFields,
  indexFields,
  dependsOn,
}: CatalogueEntry): CatalogueModel {
  return { name, schema: parseSchema(name, jsonSchema), primaryKey, sensitiveFields, indexFields, dependsOn };
}

function parseSchema(model: string, schema: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(schema).toString());
  } catch (cause) {
    throw new TidemarkError(
      'SOURCE_CONTRACT_BROKEN',
      `the connector gave a schema of ${model} that is no JSON`,
      { cause },
    );
  }
}
