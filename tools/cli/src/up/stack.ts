import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TidemarkError } from '@tidemark/model';
import type { Environment } from '@tidemark/runtime';
import { TARGET_FILE, type Target } from '../target.js';
import { openDatabase } from './database.js';
import { takeLock } from './lock.js';
import { requireFreePort } from './port.js';
import { writePrivateFile } from './private-file.js';
import { loadSecrets, type Secrets } from './secrets.js';
import { ServiceProcess } from './service-process.js';
import { serviceSpec, type Addresses, type ServiceName, type Surroundings } from './services.js';

/** Where and how to run everything. */
export interface StackOptions {
  readonly dataDir: string;
  /** Of the gateway; 0 takes a free one. */
  readonly port: number;
  /** A given MongoDB; without it, an embedded one is started. */
  readonly mongodbUri: string | undefined;
  /** Folders that the connector `file` may read from. */
  readonly fileRoots: readonly string[];
  readonly env: Environment;
  /** Takes lines for people: what happens, and the services' warnings and errors. */
  readonly say: (line: string) => void;
  /** Ends the start. */
  readonly signal: AbortSignal;
}

/** A process of the stack. */
export interface StackProcess {
  readonly name: string;
  readonly pid: number | undefined;
}

/** What is started and stopped. */
interface Part {
  readonly name: string;
  stop(): Promise<void>;
}

/** Everything running: the database and each service as a process of its own. Nothing of it outlives this process. */
export class Stack {
  private readonly parts: Part[] = [];
  private readonly running: StackProcess[] = [];
  private readonly brokenDown = new AbortController();
  private readonly addresses: Addresses = {};
  private apiKey: string | undefined;

  private constructor(private readonly options: StackOptions) {}

  /** Starts everything in order. When a part does not start, those before it are stopped before this throws. */
  static async start(options: StackOptions): Promise<Stack> {
    const stack = new Stack({ ...options, dataDir: resolve(options.dataDir) });
    try {
      await stack.startAll();
      return stack;
    } catch (error) {
      await stack.stop();
      throw stack.failure ?? error;
    }
  }

  /** The gateway and a key to it. */
  get target(): Target {
    return { address: this.addresses.gateway ?? '', apiKey: this.apiKey };
  }

  /** The processes that run, in the order of their start. */
  get processes(): readonly StackProcess[] {
    return this.running;
  }

  /** Aborts when a process ended by itself; `failure` tells which. */
  get broken(): AbortSignal {
    return this.brokenDown.signal;
  }

  /** What broke down first. */
  get failure(): TidemarkError | undefined {
    const reason: unknown = this.brokenDown.signal.reason;
    return reason instanceof TidemarkError ? reason : undefined;
  }

  /** Stops everything in reverse order, the database last. */
  async stop(): Promise<void> {
    for (let part = this.parts.pop(); part !== undefined; part = this.parts.pop()) {
      try {
        await part.stop();
      } catch (error) {
        // The others have to be stopped all the same.
        const message = error instanceof Error ? error.message : String(error);
        this.options.say(`${part.name} failed to stop: ${message}`);
      }
    }
  }

  private async startAll(): Promise<void> {
    const { dataDir, port, mongodbUri, env, say } = this.options;
    await mkdir(join(dataDir, 'logs'), { recursive: true, mode: 0o700 });
    const lock = await takeLock(join(dataDir, 'up.lock'));
    this.parts.push({ name: 'lock', stop: () => lock.release() });
    await requireFreePort(port);
    const secrets = await this.loadSecrets();
    const database = await openDatabase({
      uri: mongodbUri,
      dataDir: join(dataDir, 'mongo'),
      env,
      say,
      onUnexpectedEnd: (how) =>
        this.breakDown(new TidemarkError('INTERNAL', `mongod ended unexpectedly (${how}).`)),
    });
    this.parts.push({ name: 'mongod', stop: () => database.stop() });
    if (database.pid !== undefined) {
      this.running.push({ name: 'mongod', pid: database.pid });
    }
    await this.startServices(secrets, database.uri);
    this.apiKey = secrets.apiKey;
    await writePrivateFile(join(dataDir, TARGET_FILE), this.target);
  }

  private async startServices(secrets: Secrets, mongodbUri: string): Promise<void> {
    const { dataDir, env, fileRoots, port } = this.options;
    const surroundings: Surroundings = {
      env,
      secrets,
      mongodbUri,
      fileRoots,
      logsDir: join(dataDir, 'logs'),
      gatewayPort: port,
    };
    // The first two need none of the others.
    await Promise.all([
      this.startService('store', surroundings),
      this.startService('connector-file', surroundings),
    ]);
    await this.startService('scheduler', surroundings);
    await this.startService('gateway', surroundings);
  }

  private async startService(name: ServiceName, surroundings: Surroundings): Promise<void> {
    const signal = AbortSignal.any([this.options.signal, this.broken]);
    signal.throwIfAborted();
    const service = new ServiceProcess(serviceSpec(name, surroundings, this.addresses), {
      onTrouble: this.options.say,
      onUnexpectedEnd: (failure) => this.breakDown(failure),
    });
    this.parts.push(service);
    this.running.push({ name, pid: service.pid });
    this.addresses[name] = await service.ready(signal);
  }

  private async loadSecrets(): Promise<Secrets> {
    const { dataDir, env, say } = this.options;
    const { secrets, notice } = await loadSecrets(join(dataDir, 'secrets.json'), env);
    if (notice !== undefined) {
      say(notice);
    }
    return secrets;
  }

  private breakDown(failure: TidemarkError): void {
    this.brokenDown.abort(failure);
  }
}
