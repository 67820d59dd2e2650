import type { ModelScope, Scope } from '@tidemark/contracts';
import { z } from 'zod';
import { scopeFile } from './connection-file-schema.js';
import type { Parsed } from './environment-values.js';
import { usageError } from './usage.js';
import { checkFile, parseYaml, readTextFile, type FileOrigin } from './yaml-file.js';

/** What `scope get --json` prints, as far as it says what a scope shall be. */
const printedScope = z.object({
  models: z.array(
    z.object({
      model: z.string('must be a model'),
      fields: z.array(z.string('must be a field path')).default([]),
      indexFields: z.array(z.string('must be a field path')).default([]),
    }),
  ),
  revision: z.int().nonnegative().default(0),
});

const wrapped = z.looseObject({ scope: scopeFile });

/** Reads a scope file for a connection. Throws REQUEST_INVALID with every fault at once. */
export async function readScopeFile(
  connectionId: string,
  origin: Pick<FileOrigin, 'path' | 'env'>,
): Promise<Scope> {
  return parseScopeFile(await readTextFile(origin.path, 'scope file'), connectionId, origin);
}

/**
 * Turns the text of a scope file into what the API takes: the models with their fields, as a connection file has them under
 * `scope`; such a connection file as a whole; or what `scope get --json` printed, then a scope that has changed since is not
 * replaced.
 */
export function parseScopeFile(
  text: string,
  connectionId: string,
  origin: Pick<FileOrigin, 'path' | 'env'>,
): Scope {
  const from = { ...origin, kind: 'scope file' };
  const parsed = parseYaml(text, from);
  if (isObject(parsed) && Array.isArray(parsed['models']) && parsed['models'].every(isObject)) {
    const { models, revision } = checkFile(parsed, printedScope, from);
    return { models, revision: BigInt(revision) };
  }
  if (isObject(parsed) && typeof parsed['connector'] === 'string') {
    const { name, scope } = parsed;
    if (typeof name === 'string' && name !== connectionId) {
      throw usageError(`The file is about ${name}, not about ${connectionId}.`);
    }
    if (scope === undefined) {
      throw usageError(`The connection file ${origin.path} has no scope.`);
    }
    // The rest is not needed, nor are the variables that stand for credentials.
    return { models: toModelScopes(checkFile({ scope }, wrapped, from).scope), revision: 0n };
  }
  return { models: toModelScopes(checkFile(parsed, scopeFile, from)), revision: 0n };
}

/** The models of a scope as files have them. */
export function toModelScopes(scope: z.output<typeof scopeFile>): ModelScope[] {
  return Object.entries(scope).map(([model, { fields, index }]) => ({ model, fields, indexFields: index }));
}

function isObject(value: Parsed | undefined): value is { [name: string]: Parsed } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
