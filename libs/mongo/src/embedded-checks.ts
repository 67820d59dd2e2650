import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { TidemarkError } from '@tidemark/model';

const execFileAsync = promisify(execFile);

/** Gives back `wanted` when it is free, or any free port for 0; throws CONFIG_INVALID when it is taken. */
export function choosePort(address: string, wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (cause) => {
      const message = `The database port ${String(wanted)} cannot be opened on ${address}: it is in use or not allowed; choose another.`;
      reject(new TidemarkError('CONFIG_INVALID', message, { cause }));
    });
    server.listen(wanted, address, () => {
      const bound = server.address();
      const port = bound !== null && typeof bound === 'object' ? bound.port : wanted;
      server.close(() => {
        resolve(port);
      });
    });
  });
}

/**
 * Throws CONFIG_INVALID when a running mongod already owns the data directory; mongod itself would end with a stack trace.
 * Its lock file holds the owner's process id, is empty after a clean end and stale after a crash.
 */
export async function refuseUsedDirectory(dataDir: string): Promise<void> {
  const content = await readFile(join(dataDir, 'mongod.lock'), 'utf8').catch(() => '');
  const pid = Number.parseInt(content, 10);
  if (Number.isInteger(pid) && (await commandOf(pid)).includes('mongod')) {
    const message = `Another MongoDB (process ${String(pid)}) uses the data directory: stop it, or choose another directory.`;
    throw new TidemarkError('CONFIG_INVALID', message);
  }
}

/** The command of a process, or '' when there is none of that id. */
async function commandOf(pid: number): Promise<string> {
  return readFile(`/proc/${String(pid)}/cmdline`, 'utf8').catch(() =>
    execFileAsync('ps', ['-p', String(pid), '-o', 'comm=']).then(
      ({ stdout }) => stdout,
      () => '',
    ),
  );
}
