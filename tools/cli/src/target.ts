import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { TidemarkError } from '@tidemark/model';
import type { Environment } from '@tidemark/runtime';
import { z } from 'zod';

/** Where the gateway is, and the key to it. */
export interface Target {
  readonly address: string;
  readonly apiKey: string | undefined;
}

/** What `tidemark up` writes for the commands that follow. */
export const TARGET_FILE = 'cli.json';

/** The data folder of `tidemark up`, as it is named by default. */
export const DATA_FOLDER = '.tidemark';

const DEFAULT_ADDRESS = '127.0.0.1:7100';

const targetFile = z.object({ address: z.string(), apiKey: z.string() });

/** What was given on the command line. */
export interface TargetOptions {
  readonly address?: string | undefined;
  readonly apiKey?: string | undefined;
}

/**
 * Finds the gateway: what is given, else the environment, else what `tidemark up` wrote in TIDEMARK_DATA, or in `.tidemark` of
 * this folder or one above it. The key of that file goes to the address of that file only.
 */
export async function findTarget(given: TargetOptions, env: Environment, cwd: string): Promise<Target> {
  const dataDir = set(env['TIDEMARK_DATA']);
  const written = await (dataDir === undefined ? searchUpwards(cwd) : readTarget(resolve(cwd, dataDir)));
  const address = given.address ?? set(env['TIDEMARK_ADDRESS']) ?? written?.address ?? DEFAULT_ADDRESS;
  const apiKey =
    given.apiKey ??
    set(env['TIDEMARK_API_KEY']) ??
    (written?.address === address ? written.apiKey : undefined);
  return { address, apiKey };
}

/** What `tidemark up` wrote into its data folder; undefined when it did not. */
export async function readTarget(dataDir: string): Promise<Target | undefined> {
  const path = join(dataDir, TARGET_FILE);
  const text = await readFile(path, 'utf8').catch(ifAbsent);
  return text === undefined ? undefined : parseTarget(text, path);
}

async function searchUpwards(cwd: string): Promise<Target | undefined> {
  for (let at = resolve(cwd); ; at = dirname(at)) {
    const target = await readTarget(join(at, DATA_FOLDER));
    if (target !== undefined || dirname(at) === at) {
      return target;
    }
  }
}

function ifAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') {
    return undefined;
  }
  throw new TidemarkError(
    'CONFIG_INVALID',
    `${error.path ?? TARGET_FILE} cannot be read (${error.code ?? 'unknown error'}): give --address and --api-key instead.`,
  );
}

function parseTarget(text: string, path: string): Target {
  try {
    return targetFile.parse(JSON.parse(text));
  } catch {
    // The cause would quote the key.
    throw new TidemarkError(
      'CONFIG_INVALID',
      `${path} is damaged: start tidemark up again, it writes the file anew.`,
    );
  }
}

function set(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}
