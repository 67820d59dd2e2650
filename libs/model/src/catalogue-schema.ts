import { formatPath, isNameable } from './field-path.js';

const MAX_DEPTH = 64;

interface SchemaNode {
  readonly type?: unknown;
  readonly properties?: unknown;
  readonly items?: unknown;
}

/** Whether a field path exists by a JSON Schema. What the schema leaves open (a map, an unseen level) may hold anything. */
export function knowsPath(schema: unknown, names: readonly string[]): boolean {
  const node = throughArrays(schema);
  const properties = propertiesOf(node);
  const [name, ...rest] = names;
  if (name === undefined) return true;
  if (properties === undefined) return isOpen(node);
  return Object.hasOwn(properties, name) && knowsPath(properties[name], rest);
}

/**
 * Field paths that together allow what a JSON Schema describes but the sensitive ones. Objects are listed by their
 * members, so that a member that appears later is not allowed unseen; a place that may be a scalar too is one path. What no
 * path can name is left out.
 */
export function fieldPaths(schema: unknown, sensitive: ReadonlySet<string>): string[] {
  const properties = propertiesOf(throughArrays(schema)) ?? {};
  return Object.entries(properties).flatMap(([name, member]) => pathsBelow(member, [name], sensitive));
}

function pathsBelow(schema: unknown, path: readonly string[], sensitive: ReadonlySet<string>): string[] {
  const text = formatPath(path);
  if (sensitive.has(text) || !isNameable(text)) return [];
  const properties = propertiesOf(throughArrays(schema));
  const hides = [...sensitive].some((each) => each.startsWith(`${text}.`));
  if (properties === undefined || path.length >= MAX_DEPTH) return hides ? [] : [text];
  if (!hides && !holdsObjectsOnly(schema)) return [text];
  return Object.entries(properties).flatMap(([name, member]) =>
    pathsBelow(member, [...path, name], sensitive),
  );
}

function holdsObjectsOnly(schema: unknown): boolean {
  const node = asNode(schema);
  return node.type === 'object' || (node.type === 'array' && holdsObjectsOnly(node.items));
}

/** The node that field paths go on from: they pass through arrays. */
function throughArrays(schema: unknown): SchemaNode {
  let node = asNode(schema);
  for (
    let depth = 0;
    depth < MAX_DEPTH && node.items !== undefined && propertiesOf(node) === undefined;
    depth++
  ) {
    node = asNode(node.items);
  }
  return node;
}

function propertiesOf(node: SchemaNode): Record<string, unknown> | undefined {
  const { properties } = node;
  return typeof properties === 'object' && properties !== null
    ? (properties as Record<string, unknown>)
    : undefined;
}

/** Whether anything may lie below: the schema says nothing of members (or saw nulls alone), nor that there can be none. */
function isOpen({ type }: SchemaNode): boolean {
  const types: unknown[] = Array.isArray(type) ? type : [type];
  return type === 'null' || types.some((each) => each === undefined || each === 'object' || each === 'array');
}

function asNode(schema: unknown): SchemaNode {
  return typeof schema === 'object' && schema !== null ? schema : {};
}
