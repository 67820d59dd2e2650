import { ExactNumber, formatPath, isJsonObject, isNameable, type JsonValue } from '@tidemark/model';
import { isSensitiveName, isSensitiveText } from './sensitive-fields.js';
import { formatOf } from './text-formats.js';

/** An object with more different keys than this is a map: its keys are data and have no place in a schema. */
const MAX_PROPERTIES = 200;
/** The same of the record itself: tables may be wide. */
const MAX_COLUMNS = 5000;
/** Deeper levels are left open. */
const MAX_DEPTH = 12;
/** Places of one model at most, however they are nested: those that come later make maps of their objects. */
const MAX_PLACES = 20_000;
/** Share of a field's values that have to look sensitive for the field to be taken for it. */
const SENSITIVE_SHARE = 0.5;

const TYPE_ORDER = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const;
type JsonType = (typeof TYPE_ORDER)[number];

/** What is known of one place in the records. */
interface Place {
  readonly types: Set<JsonType>;
  /** Formats of the texts seen; undefined stands for none. */
  readonly formats: Set<string | undefined>;
  emptyTexts: number;
  scalars: number;
  sensitive: number;
  readonly properties: Map<string, Place>;
  isMap: boolean;
  items: Place | undefined;
}

/** Infers a JSON Schema and the sensitive fields from sample records. Neither ever holds a value of theirs. */
export class SchemaInference {
  private readonly root = newPlace();
  private places = 0;

  /** Adds a top-level field that is known to exist, whatever the records hold. */
  declare(field: string): void {
    if (!this.root.properties.has(field)) this.root.properties.set(field, newPlace());
  }

  /** Learns from one record. */
  add(record: JsonValue): void {
    this.learn(this.root, record, 0);
  }

  /** JSON Schema (draft 2020-12) that all records so far fulfil. */
  jsonSchema(title: string, primaryKey: readonly string[]): object {
    const schema = schemaOf(this.root);
    return {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      title,
      ...schema,
      type: 'object',
      required: [...primaryKey],
    };
  }

  /** Paths of the fields whose names or values look sensitive, the topmost ones, sorted. */
  sensitiveFields(): string[] {
    const paths: string[] = [];
    collectSensitive(this.root, [], paths);
    return paths.sort();
  }

  /** How many fields have names that no scope can name, so that they can only be stored with all that is beside them. */
  unnameableFields(): number {
    return countUnnameable(this.root, []);
  }

  private learn(place: Place, value: JsonValue, depth: number): void {
    place.types.add(typeOf(value));
    if (depth >= MAX_DEPTH) return;
    if (Array.isArray(value)) {
      const items = (place.items ??= newPlace());
      value.forEach((item) => this.learn(items, item, depth + 1));
    } else if (isJsonObject(value)) this.learnObject(place, value, depth);
    else if (value !== null && typeof value !== 'boolean')
      learnScalar(place, String(value), typeof value === 'string');
  }

  private learnObject(place: Place, value: Record<string, JsonValue>, depth: number): void {
    for (const [key, member] of Object.entries(value)) {
      if (place.isMap) return;
      let property = place.properties.get(key);
      if (property === undefined) {
        place.isMap =
          ++this.places > MAX_PLACES || place.properties.size >= (depth === 0 ? MAX_COLUMNS : MAX_PROPERTIES);
        place.properties.set(key, (property = newPlace()));
      }
      this.learn(property, member, depth + 1);
    }
  }
}

function newPlace(): Place {
  return {
    types: new Set(),
    formats: new Set(),
    emptyTexts: 0,
    scalars: 0,
    sensitive: 0,
    properties: new Map(),
    isMap: false,
    items: undefined,
  };
}

function learnScalar(place: Place, text: string, isText: boolean): void {
  if (text === '') {
    place.emptyTexts++;
    return;
  }
  place.scalars++;
  if (isSensitiveText(text)) place.sensitive++;
  if (isText) place.formats.add(formatOf(text));
}

function typeOf(value: JsonValue): JsonType {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (value instanceof ExactNumber) return /^-?\d+$/.test(value.digits) ? 'integer' : 'number';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  if (typeof value === 'string') return 'string';
  return typeof value === 'boolean' ? 'boolean' : 'object';
}

function schemaOf(place: Place): Record<string, unknown> {
  const types = TYPE_ORDER.filter(
    (type) => place.types.has(type) && !(type === 'integer' && place.types.has('number')),
  );
  const schema: Record<string, unknown> = {};
  if (types.length > 0) schema['type'] = types.length === 1 ? types[0] : types;
  const [format] = place.formats;
  if (place.formats.size === 1 && format !== undefined) {
    // An empty text has no format; both are said, so that the schema holds for every record seen.
    Object.assign(schema, place.emptyTexts === 0 ? { format } : { anyOf: [{ format }, { const: '' }] });
  }
  if (place.properties.size > 0 && !place.isMap) {
    schema['properties'] = Object.fromEntries(
      [...place.properties].map(([name, each]) => [name, schemaOf(each)]),
    );
  }
  if (place.items !== undefined && place.items.types.size > 0) schema['items'] = schemaOf(place.items);
  return schema;
}

function collectSensitive(place: Place, path: readonly string[], paths: string[]): void {
  if (place.items !== undefined) collectSensitive(place.items, path, paths);
  if (place.isMap) {
    if ([...place.properties].some(([name, each]) => looksSensitive(name, each)))
      paths.push(formatPath(path));
    return;
  }
  for (const [name, property] of place.properties) {
    const below = [...path, name];
    if (looksSensitive(name, property)) paths.push(formatPath(below));
    else collectSensitive(property, below, paths);
  }
}

function countUnnameable(place: Place, path: readonly string[]): number {
  if (!isNameable(formatPath(path))) return 1;
  const items = place.items === undefined ? 0 : countUnnameable(place.items, path);
  if (place.isMap) return items;
  return [...place.properties].reduce(
    (sum, [name, each]) => sum + countUnnameable(each, [...path, name]),
    items,
  );
}

function looksSensitive(name: string, place: Place): boolean {
  const values = place.items ?? place;
  return (
    isSensitiveName(name) || (values.scalars > 0 && values.sensitive >= values.scalars * SENSITIVE_SHARE)
  );
}
