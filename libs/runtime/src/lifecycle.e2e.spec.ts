import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { delay } from './delay.js';

const SOURCE = fileURLToPath(new URL('.', import.meta.url));

/** The program of a service of the given parts. */
function serviceScript(parts: string, options: string): string {
  return `
    const { writeFileSync } = await import('node:fs');
    const { runService } = await import('${SOURCE}lifecycle.ts');
    const { createLogger } = await import('${SOURCE}logger.ts');
    const logger = createLogger({ service: 'test', level: 'debug' });
    const part = (name, overrides = {}) => ({
      name,
      start: () => console.log('start ' + name),
      stop: () => console.log('stop ' + name),
      ...overrides,
    });
    const keepAlive = setInterval(() => undefined, 1000);
    const service = await runService({ name: 'test', logger, parts: [${parts}], ${options} });
    service.announce('127.0.0.1:7100');`;
}

const nodeFlags = (script: string) => [
  '--conditions=@tidemark/source',
  ...['--import', 'tsx', '--input-type=module', '-e', script],
];

/** Runs a service of the given parts in a process of its own. */
function start(parts: string, options = '', ipc = true): { child: ChildProcess; output: Promise<string> } {
  const flags = nodeFlags(serviceScript(parts, options));
  const stdio: StdioOptions = ['pipe', 'pipe', 'inherit', ...(ipc ? (['ipc'] as const) : [])];
  const child = spawn(process.execPath, flags, { stdio, env: { ...process.env, NODE_OPTIONS: '' } });
  if (child.stdout === null) {
    throw new Error('no stdout');
  }
  return { child, output: text(child.stdout) };
}

async function end(child: ChildProcess): Promise<unknown> {
  const [code] = (await once(child, 'exit')) as [number | null];
  return code;
}

async function ended(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await delay(20);
  }
}

const steps = async (output: Promise<string>) =>
  (await output).split('\n').filter((line) => /^(start|stop) /.test(line));

describe('runService', () => {
  it('starts in order, tells its supervisor, stops in reverse on SIGTERM and exits with 0', async () => {
    const { child, output } = start(`part('a'), part('b')`);
    expect(await once(child, 'message')).toEqual([
      { type: 'ready', service: 'test', address: '127.0.0.1:7100' },
      undefined,
    ]);
    child.kill('SIGTERM');
    expect(await end(child)).toBe(0);
    expect(await steps(output)).toEqual(['start a', 'start b', 'stop b', 'stop a']);
  });

  it('stops what was started and exits with 1 when a part does not start', async () => {
    const { child, output } = start(
      `part('a'), part('b', { start: () => Promise.reject(new Error('x')) }), part('c')`,
    );
    expect(await end(child)).toBe(1);
    expect(await steps(output)).toEqual(['start a', 'stop a']);
    expect(await output).toContain('b could not start');
  });

  it('stops and exits with 1 after an uncaught error', async () => {
    const { child, output } = start(
      `part('a', { start: () => void setTimeout(() => { throw new Error('x') }, 1) })`,
    );
    expect(await end(child)).toBe(1);
    expect(await steps(output)).toEqual(['stop a']);
    expect(await output).toContain('uncaught exception');
  });

  it('goes on stopping when one part fails to', async () => {
    const { child, output } = start(`part('a'), part('b', { stop: () => { throw new Error('x') } })`);
    await once(child, 'message');
    child.kill('SIGINT');
    expect(await end(child)).toBe(0);
    expect(await steps(output)).toEqual(['start a', 'start b', 'stop a']);
    expect(await output).toContain('failed to stop');
  });

  it('ends when the IPC channel to its parent closes', async () => {
    const { child, output } = start(`part('a')`);
    await once(child, 'message');
    child.disconnect();
    expect(await end(child)).toBe(0);
    expect(await steps(output)).toEqual(['start a', 'stop a']);
  });

  it('stops in order when its supervisor is killed, though nobody reads its log any more', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'lifecycle-'));
    const marker = join(directory, 'stopped');
    const service = serviceScript(
      `part('a', { stop: () => writeFileSync(${JSON.stringify(marker)}, '') })`,
      '',
    );
    const supervisor = spawn(process.execPath, [
      '-e',
      `const { spawn } = require('node:child_process');
       const child = spawn(process.execPath, ${JSON.stringify(nodeFlags(service))}, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
       child.on('message', () => console.log(child.pid));`,
    ]);
    const [line] = (await once(createInterface({ input: supervisor.stdout }), 'line')) as [string];
    supervisor.kill('SIGKILL');
    await ended(Number(line));
    await expect(access(marker)).resolves.toBeUndefined();
    await rm(directory, { recursive: true });
  });

  it('ends when stdin closes, where its parent said so', async () => {
    const { child, output } = start(`part('a')`, 'exitWithParent: true', false);
    child.stdin?.end();
    expect(await end(child)).toBe(0);
    expect(await steps(output)).toContain('start a');
  });
});
