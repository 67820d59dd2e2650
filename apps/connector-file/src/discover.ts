import { SchemaInference, type DiscoveredModel } from '@tidemark/connector-kit';
import { isTidemarkError, recordId, RejectedRecordError, type JsonValue } from '@tidemark/model';
import type { Folder } from './model-files.js';
import type { Row } from './row.js';
import { readSamples, type Samples } from './samples.js';
import type { ModelSettings } from './settings.js';

/** Rows of a model that its schema is inferred from. */
const SAMPLE_ROWS = 1000;
/** Faulty rows that warnings tell the positions of. */
const MAX_FAULTS = 10;

/** The models of a folder with their inferred schemas. */
export async function discoverModels(folder: Folder, signal: AbortSignal): Promise<DiscoveredModel[]> {
  const models: DiscoveredModel[] = [];
  for (const name of await folder.modelNames()) models.push(await discoverModel(folder, name, signal));
  return models;
}

async function discoverModel(folder: Folder, name: string, signal: AbortSignal): Promise<DiscoveredModel> {
  const model = await folder.model(name);
  const inference = new SchemaInference();
  const faults: string[] = [];
  const { rows, columns, warnings } = await samplesOf(folder, model, signal, (row) => {
    if (row.value !== undefined && row.fault === undefined) inference.add(row.value);
    const fault = row.fault ?? keyFault(row.value ?? null, model.primaryKey);
    if (fault !== undefined) faults.push(`${row.position()}: ${fault.message}`);
  });
  columns.forEach((column) => inference.declare(column));
  return {
    name,
    jsonSchema: inference.jsonSchema(name, model.primaryKey),
    primaryKey: model.primaryKey,
    sensitiveFields: sensitiveFields(inference, model),
    indexFields: model.indexFields,
    dependsOn: model.dependsOn,
    warnings: [...warnings, ...fieldWarnings(inference), ...rowWarnings(rows, faults)],
  };
}

/** One model that cannot be read does not hide the others: its fault becomes a warning. */
async function samplesOf(
  folder: Folder,
  model: ModelSettings,
  signal: AbortSignal,
  onRow: (row: Row) => void,
): Promise<Samples> {
  try {
    return await readSamples(await folder.files(model), model, SAMPLE_ROWS, signal, onRow);
  } catch (error) {
    if (!isTidemarkError(error, 'SOURCE_GONE', 'SOURCE_CONFIG_INVALID', 'SOURCE_CONTRACT_BROKEN'))
      throw error;
    return { rows: 0, columns: [], warnings: [error.message] };
  }
}

function sensitiveFields(inference: SchemaInference, model: ModelSettings): string[] {
  const { sensitive, notSensitive } = model;
  const found = inference.sensitiveFields().filter((path) => !notSensitive.includes(path));
  return [...new Set([...found, ...sensitive])].sort();
}

function fieldWarnings(inference: SchemaInference): string[] {
  const count = inference.unnameableFields();
  if (count === 0) return [];
  const why = 'their names are longer than 512 characters, with those above, or no valid Unicode';
  return [`${count} fields are left out, for no scope can name them: ${why}`];
}

function rowWarnings(rows: number, faults: readonly string[]): string[] {
  if (rows === 0) return ['there are no rows to infer a schema from'];
  const more = faults.length - MAX_FAULTS;
  return more > 0
    ? [...faults.slice(0, MAX_FAULTS), `${more} more of the first ${rows} rows are faulty`]
    : [...faults];
}

function keyFault(value: JsonValue, primaryKey: readonly string[]): RejectedRecordError | undefined {
  try {
    recordId(value, primaryKey);
    return undefined;
  } catch (error) {
    if (error instanceof RejectedRecordError) return error;
    throw error;
  }
}
