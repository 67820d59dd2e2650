import { TidemarkError } from './errors.js';

/** Longest field path accepted, in characters. */
export const MAX_PATH_LENGTH = 512;

/** Whether a scope can name a path that `formatPath` made: it is short enough, and text that every system can tell apart. */
export function isNameable(path: string): boolean {
  return path.length <= MAX_PATH_LENGTH && path.isWellFormed();
}

/** Field names of a path: joined by `.`, a literal dot or backslash escaped by a backslash. Throws REQUEST_INVALID. */
export function parsePath(path: string): string[] {
  if (path.length > MAX_PATH_LENGTH) throw invalid('a field path has at most 512 characters');
  return splitPath(path);
}

/** The same for a path that `formatPath` made, of any length. */
export function splitPath(path: string): string[] {
  const names: string[] = [''];
  for (let i = 0; i < path.length; i++) {
    const char = path[i] ?? '';
    if (char === '.') names.push('');
    else if (char === '\\') {
      const next = path[++i];
      if (next !== '.' && next !== '\\')
        throw invalid('in a field path a backslash stands before a dot or a backslash');
      names[names.length - 1] += next;
    } else names[names.length - 1] += char;
  }
  return names;
}

/** The path of field names; the inverse of parsePath. */
export function formatPath(names: readonly string[]): string {
  return names.map((name) => name.replace(/[\\.]/g, '\\$&')).join('.');
}

function invalid(message: string): TidemarkError {
  return new TidemarkError('REQUEST_INVALID', message, {
    violations: [{ field: 'fields', description: message }],
  });
}
