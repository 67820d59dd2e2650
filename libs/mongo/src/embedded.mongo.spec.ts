import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { connectMongo } from './connect.js';
import { startEmbeddedMongo, type EmbeddedMongo } from './embedded.js';

let dataDir: string;
const options = () => ({ dataDir, env: process.env, log: () => undefined });

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'embedded-'));
});
afterEach(async () => {
  await rm(dataDir, { recursive: true, force: true });
});

async function addRow(mongo: EmbeddedMongo): Promise<number> {
  const client = await connectMongo(mongo.uri, { appName: 'embedded-test' });
  try {
    const rows = client.db('test').collection('rows');
    await rows.insertOne({});
    return await rows.countDocuments();
  } finally {
    await client.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) {
    await sleep(50);
  }
}

describe('startEmbeddedMongo', () => {
  it('keeps its data over a clean stop and a change of port', async () => {
    const first = await startEmbeddedMongo(options());
    expect(await addRow(first)).toBe(1);
    await first.stop();
    expect(isAlive(first.pid)).toBe(false);
    const second = await startEmbeddedMongo(options());
    expect(second.uri).not.toBe(first.uri);
    expect(await addRow(second)).toBe(2);
    await second.stop();
  });

  it('keeps its data over a kill, and reports the kill', async () => {
    const exits: string[] = [];
    const first = await startEmbeddedMongo({ ...options(), onUnexpectedExit: (how) => exits.push(how) });
    expect(await addRow(first)).toBe(1);
    process.kill(first.pid, 'SIGKILL');
    await gone(first.pid);
    await first.stop();
    expect(exits).toEqual(['SIGKILL']);
    const second = await startEmbeddedMongo(options());
    expect(await addRow(second)).toBe(2);
    await second.stop();
  });

  it('ends with a parent that is killed', async () => {
    const module = fileURLToPath(new URL('./embedded.ts', import.meta.url));
    const script = `
      const { startEmbeddedMongo } = await import(${JSON.stringify(module)});
      const mongo = await startEmbeddedMongo({ dataDir: ${JSON.stringify(dataDir)}, env: process.env, log: () => undefined });
      console.log(mongo.pid);
      setInterval(() => undefined, 1000);`;
    const flags = ['--conditions=@tidemark/source', '--import', 'tsx', '--input-type=module', '-e', script];
    const parent = spawn(process.execPath, flags, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
    const pid = Number(line);
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await gone(pid);
  });

  it('refuses a data directory that another server uses', async () => {
    const first = await startEmbeddedMongo(options());
    const error: unknown = await startEmbeddedMongo(options()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ reason: 'CONFIG_INVALID' });
    expect(String(error)).toContain(String(first.pid));
    expect(await addRow(first)).toBe(1);
    await first.stop();
  });

  it('refuses a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await expect(startEmbeddedMongo({ ...options(), port })).rejects.toMatchObject({
      reason: 'CONFIG_INVALID',
    });
    other.close();
  });
});
