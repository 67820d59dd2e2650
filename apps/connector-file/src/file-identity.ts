import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { fileFault } from './file-faults.js';
import type { ModelFile } from './model-files.js';

/** Tells one state of one file from every other: a write, a truncation or a replacement changes it. */
export function identityOf(stats: BigIntStats): string {
  // The time of the last change of status too: a copy that keeps the time of modification does not deceive it.
  return [stats.size, stats.mtimeNs, stats.ctimeNs, stats.ino].join(':');
}

/** The identities of files as they are now. Throws SOURCE_GONE for a missing one. */
export async function identitiesOf(files: readonly ModelFile[]): Promise<string[]> {
  return Promise.all(
    files.map(async (file) => {
      try {
        return identityOf(await stat(file.path, { bigint: true }));
      } catch (error) {
        throw fileFault(error, file.name);
      }
    }),
  );
}

/** One short text for the names and identities of all files. */
export function digestOf(files: readonly ModelFile[], identities: readonly string[]): string {
  const state = JSON.stringify(files.map((file, index) => [file.name, identities[index]]));
  return createHash('sha256').update(state).digest('base64url').slice(0, 22);
}
