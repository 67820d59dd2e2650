import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSecrets, Stack } from '@tidemark/cli';
import { connectMongo, startEmbeddedMongo, type EmbeddedMongo } from '@tidemark/mongo';
import { Living } from './source/living.js';

/** The repository's folder. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** What a command printed and how it ended. */
export interface CommandResult {
  readonly code: number;
  readonly objects: Record<string, unknown>[];
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder with exports, a database, and all services on it; what a user's machine would be. */
export class World {
  readonly #followers: ChildProcess[] = [];
  #mongo: EmbeddedMongo | undefined;
  #stack: Stack | undefined;
  #living: Living | undefined;
  lines: string[] = [];

  private constructor(
    readonly folder: string,
    readonly uncompressed: boolean,
  ) {}

  /** `living`: with the process of the living sources, as connector `living`. */
  static async start(options: { uncompressed?: boolean; living?: boolean } = {}): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), 'tidemark-e2e-')), options.uncompressed ?? false);
    await mkdir(world.exports);
    if (options.living === true) await world.#startLiving();
    await world.up();
    return world;
  }

  get exports(): string {
    return join(this.folder, 'exports');
  }

  get dataDir(): string {
    return join(this.folder, 'data');
  }

  get mongoDir(): string {
    return join(this.folder, 'mongo');
  }

  get stack(): Stack {
    if (this.#stack === undefined) throw new Error('the services are not up');
    return this.#stack;
  }

  get living(): Living {
    if (this.#living === undefined) throw new Error('this world has no living sources');
    return this.#living;
  }

  /** Starts the database, if it is down, and every service. */
  async up(): Promise<void> {
    const log = (line: string) => this.lines.push(line);
    this.#mongo ??= await startEmbeddedMongo({
      dataDir: this.mongoDir,
      env: process.env,
      log,
      uncompressed: this.uncompressed,
    });
    this.#stack = await Stack.start({
      dataDir: this.dataDir,
      port: 0,
      mongodbUri: this.#mongo.uri,
      fileRoots: [this.folder],
      env: {
        ...process.env,
        TIDEMARK_LEASE_SECONDS: '3',
        ...(this.#living === undefined ? {} : { TIDEMARK_CONNECTORS: `living=${this.#living.address}` }),
      },
      say: log,
      signal: new AbortController().signal,
    });
  }

  /** Stops the services; the database stays. */
  async down(): Promise<void> {
    await this.#stack?.stop();
    this.#stack = undefined;
  }

  /** Stops the services and the database, cleanly. */
  async halt(): Promise<void> {
    await this.down();
    await this.#mongo?.stop();
    this.#mongo = undefined;
  }

  async stop(): Promise<void> {
    for (const follower of this.#followers) follower.kill('SIGKILL');
    await this.halt();
    await this.#living?.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Ends a service's process at once, as a crash would. */
  kill(service: string): void {
    const process_ = this.stack.processes.find(({ name }) => name === service);
    if (process_?.pid === undefined) throw new Error(`no ${service} is running`);
    process.kill(process_.pid, 'SIGKILL');
  }

  /** A driver connected to the database that the services use. */
  async driver(): Promise<Awaited<ReturnType<typeof connectMongo>>> {
    if (this.#mongo === undefined) throw new Error('the database is not up');
    return connectMongo(this.#mongo.uri, { appName: 'tidemark-e2e' });
  }

  async write(file: string, content: string | Buffer): Promise<void> {
    await writeFile(join(this.exports, file), content);
  }

  /** Makes a connection from its file's content; no sync starts by itself. */
  async connect(connection: object): Promise<void> {
    const path = join(this.folder, 'connection.json');
    await writeFile(path, JSON.stringify(connection));
    await this.run('connections', 'create', '-f', path).then(expectDone);
  }

  /** Runs `tidemark` with --json and collects what it prints. */
  async run(...args: string[]): Promise<CommandResult> {
    const child = this.#spawn(args);
    let [stdout, stderr] = ['', ''];
    child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const code = await new Promise<number>((resolve) => child.once('close', (exit) => resolve(exit ?? -1)));
    return { code, objects: parseLines(stdout), stdout, stderr };
  }

  /** A full sync of everything, waited for. */
  async sync(connection: string, ...models: string[]): Promise<CommandResult> {
    return this.run(
      'sync',
      'run',
      connection,
      '--full',
      '--wait',
      ...models.flatMap((model) => ['--model', model]),
    );
  }

  /** Starts a command that goes on, and gives its objects as they come. */
  follow(...args: string[]): { objects: Record<string, unknown>[]; kill: () => Promise<void> } {
    const child = this.#spawn(args);
    this.#followers.push(child);
    const objects: Record<string, unknown>[] = [];
    let rest = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      objects.push(...parseLines(lines.join('\n')));
    });
    const kill = async () => {
      const closed = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGKILL');
      await closed;
    };
    return { objects, kill };
  }

  /** It has to trust the services before they are there: so their secrets are made first. */
  async #startLiving(): Promise<void> {
    await mkdir(this.dataDir);
    const { secrets } = await loadSecrets(join(this.dataDir, 'secrets.json'), process.env);
    this.#living = await Living.start(ROOT, this.folder, secrets.internalToken);
  }

  #spawn(args: readonly string[]): ChildProcess {
    const { address, apiKey } = this.stack.target;
    const env = { ...process.env, TIDEMARK_ADDRESS: address, TIDEMARK_API_KEY: apiKey };
    return spawn(process.execPath, [join(ROOT, 'tools/cli/dist/main.js'), ...args, '--json'], {
      cwd: this.folder,
      env,
    });
  }
}

/** Throws what a command said unless it ended well. */
export function expectDone(result: CommandResult): CommandResult {
  if (result.code !== 0) throw new Error(`exit ${result.code}: ${result.stdout}${result.stderr}`);
  return result;
}

/** Waits until a condition holds; the test's own time limit bounds it. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}

function parseLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
