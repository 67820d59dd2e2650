import { execFile } from 'node:child_process';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { TidemarkError } from '@tidemark/model';
import { z } from 'zod';
import { systemCode } from '../system-code.js';

const execFileAsync = promisify(execFile);

/** Who holds a lock: a process, and when it started, for process ids are used again. */
const holder = z.object({ pid: z.number().int().positive(), started: z.string() });
type Holder = z.output<typeof holder>;

/** A data folder held by this process. */
export interface Lock {
  release(): Promise<void>;
}

/** Takes the lock file, also from a process that is gone. Throws CONFIG_INVALID when a living process holds it. */
export async function takeLock(path: string): Promise<Lock> {
  const mine: Holder = { pid: process.pid, started: (await startOf(process.pid)) ?? '' };
  const draft = `${path}.${String(process.pid)}`;
  await writeFile(draft, JSON.stringify(mine), { mode: 0o600 });
  try {
    // A link appears with its content, or not at all.
    while (!(await linkUnlessThere(draft, path))) {
      await removeIfStale(path);
    }
  } finally {
    await rm(draft, { force: true });
  }
  return { release: () => rm(path, { force: true }) };
}

async function linkUnlessThere(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') {
      return false;
    }
    throw error;
  }
}

async function removeIfStale(path: string): Promise<void> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') {
      return undefined;
    }
    throw error;
  });
  if (text === undefined) {
    return;
  }
  const found = parseHolder(text);
  if (found !== undefined && (await startOf(found.pid)) === found.started) {
    throw new TidemarkError(
      'CONFIG_INVALID',
      `Tidemark already runs on this data folder (process ${String(found.pid)}): stop it first, or choose another folder with --data DIR.`,
    );
  }
  await moveAway(path, text);
}

/** Removes the lock only if it is still the one that was read: another process may have been faster. */
async function moveAway(path: string, expected: string): Promise<void> {
  const stale = `${path}.stale.${String(process.pid)}`;
  try {
    await rename(path, stale);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') {
      return;
    }
    throw error;
  }
  if ((await readFile(stale, 'utf8')) !== expected) {
    await linkUnlessThere(stale, path);
  }
  await rm(stale, { force: true });
}

function parseHolder(text: string): Holder | undefined {
  try {
    return holder.parse(JSON.parse(text));
  } catch {
    // Half-written by a process that died: nobody's.
    return undefined;
  }
}

/** When a process started, in whatever form the system tells it; undefined when there is no such process. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8');
    // The name in parentheses may hold anything; the start is the 20th field after it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return startByPs(pid);
  }
}

async function startByPs(pid: number): Promise<string | undefined> {
  try {
    const { stdout } = await execFileAsync('ps', ['-o', 'lstart=', '-p', String(pid)]);
    return stdout.trim();
  } catch {
    return isAlive(pid) ? '' : undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}
