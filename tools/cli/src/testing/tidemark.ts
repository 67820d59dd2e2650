import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const BIN = fileURLToPath(new URL('../../bin/tidemark.js', import.meta.url));
const POLL_MS = 50;
const PATIENCE_MS = 30_000;

const readyLine = z.object({
  address: z.string(),
  dataDir: z.string(),
  processes: z.array(z.object({ name: z.string(), pid: z.number() })),
});

/** What a command of the built command line came to. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `tidemark` as a person would, in a folder of its own. */
export async function tidemark(cwd: string, ...args: string[]): Promise<Outcome> {
  const child = start(cwd, args);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  await once(child, 'close');
  return { code: child.exitCode, stdout, stderr };
}

/** A command that goes on, with the lines that it prints. */
export interface Running {
  readonly child: ChildProcess;
  /** Lines of stdout so far. */
  readonly lines: readonly string[];
  /** Lines of stderr so far. */
  readonly notes: readonly string[];
  /** Its exit code, or null when a signal ended it. */
  readonly ended: Promise<number | null>;
}

/** Starts a `tidemark` that goes on. */
export function running(cwd: string, ...args: string[]): Running {
  const child = start(cwd, args);
  const ended = once(child, 'close').then(() => child.exitCode);
  return { child, lines: linesOf(child.stdout), notes: linesOf(child.stderr), ended };
}

/** A `tidemark up` that is ready. */
export interface Up extends Running {
  readonly processes: readonly { readonly name: string; readonly pid: number }[];
}

/** Starts `tidemark up` and waits until it is ready. */
export async function startUp(cwd: string, ...args: string[]): Promise<Up> {
  const command = running(cwd, 'up', '--json', '--port', '0', ...args);
  await until(() => command.lines.length > 0 || command.child.exitCode !== null);
  const [first] = command.lines;
  if (first === undefined) {
    throw new Error(`tidemark up ended: ${command.notes.join('\n')}`);
  }
  return { ...command, processes: readyLine.parse(JSON.parse(first)).processes };
}

/** Waits until something holds; fails after half a minute. */
export async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!holds()) {
    if (Date.now() > deadline) {
      throw new Error(`not so after ${String(PATIENCE_MS)} ms: ${holds.toString()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Whether a process of that id lives. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function start(cwd: string, args: readonly string[]): ChildProcess {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !name.startsWith('TIDEMARK_') && name !== 'MONGODB_URI' && name !== 'NODE_OPTIONS',
    ),
  );
  return spawn(process.execPath, [BIN, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
}

function linesOf(stream: NodeJS.ReadableStream | null): string[] {
  const lines: string[] = [];
  if (stream !== null) {
    createInterface({ input: stream }).on('line', (line) => lines.push(line));
  }
  return lines;
}
