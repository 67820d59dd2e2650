import { realpath, stat } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { systemCode } from '@tidemark/connector-kit';
import { TidemarkError } from '@tidemark/model';
import { configFault, fileFault } from './file-faults.js';

/** The folders that the connector may read from, whatever a connection's config says and wherever links lead. */
export class Roots {
  private readonly folders: readonly string[];

  constructor(folders: readonly string[]) {
    this.folders = folders.map((folder) => resolve(folder));
  }

  /** Real path of a connection's folder. Throws SOURCE_CONFIG_INVALID if there is none or it lies outside. */
  async folder(path: string): Promise<string> {
    const candidates = isAbsolute(path) ? [resolve(path)] : this.folders.map((root) => resolve(root, path));
    const inside = candidates.filter((candidate) => this.folders.some((root) => isWithin(root, candidate)));
    // The same answer for what is outside and exists, and what is outside and does not.
    if (inside.length === 0) throw outside(path);
    for (const candidate of inside) {
      const real = await realPath(candidate, path);
      if (real === undefined) continue;
      await this.demandInside(real, path);
      if (!(await stat(real)).isDirectory())
        throw noFolder(`${path} is a file; the path names the folder around it`);
      return real;
    }
    throw noFolder(`there is no folder ${path} in the folders that the connector may read from`);
  }

  /** Real path of a file in a connection's folder. Throws SOURCE_GONE, or SOURCE_CONFIG_INVALID if it lies outside. */
  async file(folder: string, name: string): Promise<string> {
    try {
      const path = resolve(folder, name);
      // Before anything is looked at: what lies outside gets the same answer whether it exists or not.
      if (!this.folders.some((root) => isWithin(root, path))) await this.demandInside(path, name);
      const real = await realpath(path);
      await this.demandInside(real, name);
      return real;
    } catch (error) {
      throw fileFault(error, name);
    }
  }

  /** Throws SOURCE_CONFIG_INVALID if a real path lies outside. */
  async demandInside(real: string, name: string): Promise<void> {
    for (const root of this.folders) {
      const realRoot = await realPath(root, root);
      if (realRoot !== undefined && isWithin(realRoot, real)) return;
    }
    throw outside(name);
  }
}

/** The real path; undefined if there is nothing. */
async function realPath(path: string, name: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined;
    throw fileFault(error, name);
  }
}

/** Whether a path lies in a folder or is it, going by their names alone. */
export function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

function outside(name: string): TidemarkError {
  return configFault(
    `${name} lies outside of the folders that the connector may read from; the operator sets them in TIDEMARK_FILE_ROOTS`,
  );
}

function noFolder(message: string): TidemarkError {
  return new TidemarkError('SOURCE_CONFIG_INVALID', message, {
    violations: [{ field: 'config.path', description: 'names an existing folder' }],
  });
}
