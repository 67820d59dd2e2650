import { readFile } from 'node:fs/promises';
import type { FieldViolation } from '@tidemark/model';
import type { Environment } from '@tidemark/runtime';
import { LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { substituteEnvironment, type Parsed } from './environment-values.js';
import { systemCode } from './system-code.js';
import { usageError } from './usage.js';

/** Where a text comes from, for messages, and what its placeholders stand for. */
export interface FileOrigin {
  readonly path: string;
  /** Example: `connection file`. */
  readonly kind: string;
  readonly env: Environment;
}

/** Reads a file of a kind. Throws REQUEST_INVALID if it cannot be read. */
export async function readTextFile(path: string, kind: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) {
      throw error;
    }
    throw usageError(
      code === 'ENOENT' ? `There is no ${kind} ${path}.` : `The ${kind} ${path} cannot be read (${code}).`,
    );
  }
}

/** Parses YAML or JSON. Throws REQUEST_INVALID with the place of the first fault, and nothing of the text. */
export function parseYaml(text: string, { path, kind }: Pick<FileOrigin, 'path' | 'kind'>): Parsed {
  const lineCounter = new LineCounter();
  // A pretty error would quote the file, which may hold credentials.
  const document = parseDocument(text, { lineCounter, prettyErrors: false, intAsBigInt: true });
  const [first] = document.errors;
  if (first !== undefined) {
    const { line, col } = lineCounter.linePos(first.pos[0]);
    throw usageError(`The ${kind} ${path} is no YAML or JSON: line ${line}, column ${col} (${first.code}).`);
  }
  return smallIntegers(document.toJS() as Parsed);
}

/** Puts environment variables in place and checks a parsed file. Throws REQUEST_INVALID with every fault at once. */
export function checkFile<Schema extends z.ZodType>(
  parsed: Parsed,
  schema: Schema,
  { path, kind, env }: FileOrigin,
): z.output<Schema> {
  const violations: FieldViolation[] = [];
  const result = schema.safeParse(substituteEnvironment(parsed, env, violations));
  for (const { path: where, message } of result.error?.issues ?? []) {
    const field = where.map(String).join('.');
    violations.push({ field: field === '' ? 'the file' : field, description: message });
  }
  if (!result.success || violations.length > 0) {
    const list = violations.map(({ field, description }) => `\n  ${field} ${description}`).join('');
    throw usageError(`The ${kind} ${path} is not valid:${list}`, violations);
  }
  return result.data;
}

/** Integers that a double holds become numbers; larger ones keep their digits as bigints. */
function smallIntegers(value: Parsed): Parsed {
  if (typeof value === 'bigint') {
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }
  if (Array.isArray(value)) {
    return value.map(smallIntegers);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, smallIntegers(member)]));
}
