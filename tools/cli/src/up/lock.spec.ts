import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takeLock } from './lock.js';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-lock-'));
  path = join(folder, 'up.lock');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** What a process that ended would have left in a lock. */
async function leftBy(child: ChildProcess): Promise<string> {
  await once(child, 'exit');
  return JSON.stringify({ pid: child.pid, started: '1' });
}

describe('the lock of a data folder', () => {
  it('is refused while a living process holds it, and free after its release', async () => {
    const lock = await takeLock(path);
    await expect(takeLock(path)).rejects.toThrow(
      `Tidemark already runs on this data folder (process ${String(process.pid)}): stop it first`,
    );
    await lock.release();
    await (await takeLock(path)).release();
    expect(await readdir(folder)).toEqual([]);
  });

  it('is taken over from a process that is gone', async () => {
    await writeFile(path, await leftBy(spawn(process.execPath, ['-e', ''])));
    await takeLock(path);
    expect(await readFile(path, 'utf8')).toContain(String(process.pid));
  });

  it('is taken over when another process got the same id since', async () => {
    await writeFile(path, JSON.stringify({ pid: process.pid, started: 'long ago' }));
    await takeLock(path);
    expect(await readFile(path, 'utf8')).not.toContain('long ago');
  });

  it('is taken over when it is half-written', async () => {
    await writeFile(path, '{"pid":');
    await takeLock(path);
    expect(await readFile(path, 'utf8')).toContain(String(process.pid));
  });
});
