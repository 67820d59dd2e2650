import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { isAlive, startUp, tidemark, until, type Up } from '../testing/tidemark.js';
import { SAMPLE_FOLDER } from './sample.js';

const SLOW = 120_000;
const CONNECTION_FILE = join(SAMPLE_FOLDER, 'connection.yaml');

let cwd: string;
let up: Up | undefined;

beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'tidemark-up-'));
});
afterEach(async () => {
  up?.child.kill('SIGTERM');
  await up?.ended;
  up = undefined;
  await rm(cwd, { recursive: true, force: true });
});

/** The process of a service. */
function pidOf({ processes }: Up, service: string): number {
  const pid = processes.find(({ name }) => name === service)?.pid;
  if (pid === undefined) {
    throw new Error(`${service} is not running`);
  }
  return pid;
}

async function nothingLeft({ processes }: Up): Promise<void> {
  await until(() => processes.every(({ pid }) => !isAlive(pid)));
}

describe('tidemark up', () => {
  it(
    'runs every service as its own process, refuses a second start, and leaves nothing behind when stopped',
    async () => {
      up = await startUp(cwd);
      expect(up.processes.map(({ name }) => name).sort()).toEqual([
        'connector-file',
        'gateway',
        'mongod',
        'scheduler',
        'store',
      ]);
      const second = await tidemark(cwd, 'up', '--port', '0');
      expect(second).toMatchObject({ code: 1, stdout: '' });
      expect(second.stderr).toMatch(
        /^Tidemark already runs on this data folder \(process \d+\): .*--data DIR\.\n$/,
      );
      // The folder tells the commands where the gateway is, and only its owner the key.
      expect(await tidemark(cwd, 'status')).toMatchObject({ code: 0 });
      for (const name of ['cli.json', 'secrets.json']) {
        expect((await stat(join(cwd, '.tidemark', name))).mode & 0o777).toBe(0o600);
      }
      up.child.kill('SIGINT');
      expect(await up.ended).toBe(0);
      await nothingLeft(up);
    },
    SLOW,
  );

  it(
    'says which service died, stops the others and exits with 1',
    async () => {
      up = await startUp(cwd);
      process.kill(pidOf(up, 'store'), 'SIGKILL');
      expect(await up.ended).toBe(1);
      expect(up.notes.at(-1)).toMatch(/^store ended unexpectedly \(SIGKILL\); its log: .*store\.log$/);
      await nothingLeft(up);
    },
    SLOW,
  );

  it(
    'leaves nothing running when it is killed itself, and starts again on the same folder with the same key',
    async () => {
      up = await startUp(cwd);
      const secrets = await readFile(join(cwd, '.tidemark', 'secrets.json'), 'utf8');
      up.child.kill('SIGKILL');
      await nothingLeft(up);
      up = await startUp(cwd);
      expect(await readFile(join(cwd, '.tidemark', 'secrets.json'), 'utf8')).toBe(secrets);
      expect(await tidemark(cwd, 'status')).toMatchObject({ code: 0 });
    },
    SLOW,
  );

  it(
    'finishes, after a restart, the syncs that a killed scheduler left in the middle',
    async () => {
      up = await startUp(cwd, '--root', SAMPLE_FOLDER);
      await promisify(execFile)(process.execPath, [join(SAMPLE_FOLDER, 'generate.mjs')]);
      const created = await tidemark(cwd, 'connections', 'create', '-f', CONNECTION_FILE, '--json');
      const { runIds } = z.object({ runIds: z.array(z.string()) }).parse(JSON.parse(created.stdout));
      process.kill(pidOf(up, 'scheduler'), 'SIGKILL');
      expect(await up.ended).toBe(1);
      await nothingLeft(up);
      up = await startUp(cwd, '--root', SAMPLE_FOLDER);
      for (const run of runIds) {
        expect(await tidemark(cwd, 'sync', 'watch', run)).toMatchObject({ code: 0 });
      }
      const absences = await tidemark(cwd, 'records', 'list', 'acme-hr', 'absences', '--json');
      expect(absences.stdout.trimEnd().split('\n')).toHaveLength(20_001);
    },
    SLOW,
  );

  it('says what to do when its port is in use, before it starts anything', async () => {
    const { server, port } = await listen();
    try {
      const outcome = await tidemark(cwd, 'up', '--port', String(port));
      expect(outcome).toEqual({
        code: 1,
        stdout: '',
        stderr: `Port ${String(port)} is in use: stop the program that uses it, or choose another with --port N.\n`,
      });
    } finally {
      server.close();
    }
  });

  it(
    'says that the given database does not answer, without its password',
    async () => {
      const { server, port } = await listen();
      server.close();
      const uri = `mongodb://user:hunter2@127.0.0.1:${String(port)}/?replicaSet=none`;
      const outcome = await tidemark(cwd, 'up', '--port', '0', '--mongodb-uri', uri);
      expect(outcome.code).toBe(1);
      expect(outcome.stderr).toContain(`No usable MongoDB answers at 127.0.0.1:${String(port)}`);
      expect(outcome.stderr).not.toContain('hunter2');
    },
    SLOW,
  );
});

/** Something that listens on a free port. */
function listen(): Promise<{ server: Server; port: number }> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve({ server, port: typeof address === 'object' && address !== null ? address.port : 0 });
    });
  });
}
