import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServiceProcess } from '@tidemark/cli';
import { RecordServiceDefinition, StoreServiceDefinition } from '@tidemark/contracts';
import { connectMongo, startEmbeddedMongo, type EmbeddedMongo } from '@tidemark/mongo';
import { createClient, type RpcClient } from '@tidemark/rpc';
import { ROOT } from '../world.js';

/** The name by which the database knows the stores' connections. */
export const STORE_APP = 'tidemark-store';

const DATABASE = 'fire';

/** A store in a process of its own. */
export interface StoreProcess {
  readonly writing: RpcClient<typeof StoreServiceDefinition>;
  readonly reading: RpcClient<typeof RecordServiceDefinition>;
}

/** A MongoDB that takes fail points, and store processes on one database of it. */
export class StoreProcesses {
  /** What the processes complained of. */
  readonly troubles: string[] = [];
  readonly all: StoreProcess[] = [];
  readonly #running: ServiceProcess[] = [];
  readonly #token = randomBytes(32).toString('hex');
  readonly #masterKey = randomBytes(32).toString('base64');

  private constructor(
    readonly folder: string,
    readonly mongo: EmbeddedMongo,
    /** A connection of the test's own. */
    readonly client: Awaited<ReturnType<typeof connectMongo>>,
  ) {}

  static async start(count: number): Promise<StoreProcesses> {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-fire-'));
    const mongo = await startEmbeddedMongo({
      dataDir: join(folder, 'mongo'),
      parameters: { enableTestCommands: '1' },
      env: process.env,
      log: () => undefined,
    });
    const client = await connectMongo(mongo.uri, { appName: 'tidemark-fire' });
    const stores = new StoreProcesses(folder, mongo, client);
    try {
      for (let number = 0; number < count; number++) await stores.#add(number);
    } catch (error) {
      await stores.stop();
      throw error;
    }
    return stores;
  }

  /** The database of the stores. */
  get db() {
    return this.client.db(DATABASE);
  }

  async stop(): Promise<void> {
    for (const { writing, reading } of this.all) {
      writing.close();
      reading.close();
    }
    await Promise.all(this.#running.map((running) => running.stop()));
    await this.client.close();
    await this.mongo.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #add(number: number): Promise<void> {
    const name = `store-${number}`;
    const address = new URL(this.mongo.uri);
    address.pathname = DATABASE;
    const onTrouble = (line: string): void => void this.troubles.push(line);
    const running = new ServiceProcess(
      {
        name,
        main: join(ROOT, 'apps', 'store', 'dist', 'main.js'),
        env: {
          ...process.env,
          TIDEMARK_LISTEN: '127.0.0.1:0',
          TIDEMARK_LOG_LEVEL: 'warn',
          TIDEMARK_INTERNAL_TOKEN: this.#token,
          TIDEMARK_MASTER_KEY: this.#masterKey,
          TIDEMARK_STORE_MONGODB_URI: address.href,
        },
        heapMb: 160,
        logFile: join(this.folder, `${name}.log`),
      },
      { onTrouble, onUnexpectedEnd: ({ message }) => onTrouble(message) },
    );
    this.#running.push(running);
    const target = await running.ready(new AbortController().signal);
    const options = { credential: { internalToken: this.#token } };
    this.all.push({
      writing: createClient(StoreServiceDefinition, target, options),
      reading: createClient(RecordServiceDefinition, target, options),
    });
  }
}
