import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServiceProcess } from '@tidemark/cli';
import {
  ConnectionServiceDefinition,
  RecordServiceDefinition,
  SyncServiceDefinition,
} from '@tidemark/contracts';
import { connectMongo, startEmbeddedMongo, type EmbeddedMongo } from '@tidemark/mongo';
import { createClient, type RpcClient } from '@tidemark/rpc';
import { ROOT } from '../world.js';

/** A process of the cluster: what to run, under an address that stays. */
export interface Member {
  readonly name: string;
  readonly main: string;
  readonly address: string;
  readonly env: Readonly<Record<string, string>>;
}

/** A connector's name, its compiled main.js from the repository's folder, and what it needs. */
export interface ClusterConnector {
  readonly name: string;
  readonly main: string;
  readonly env?: Record<string, string>;
}

/** How many of what. */
export interface ClusterShape {
  readonly schedulers: number;
  readonly stores: number;
  readonly connector: ClusterConnector;
  /** Further ones, each a process of its own. */
  readonly others?: readonly ClusterConnector[];
  /** Settings of the schedulers. */
  readonly scheduling?: Record<string, string>;
  /** Where a scheduler, by its number, finds the store of that address; absent: there. */
  readonly toStore?: (scheduler: number, address: string) => Promise<string>;
}

/** The public API, as the gateway serves it. */
export interface Api {
  readonly connections: RpcClient<typeof ConnectionServiceDefinition>;
  readonly syncs: RpcClient<typeof SyncServiceDefinition>;
  readonly records: RpcClient<typeof RecordServiceDefinition>;
}

const LEASE_SECONDS = 2;

/** Services as processes of their own on one database, each of which can be killed, stopped and started again. */
export class Cluster {
  readonly members: readonly Member[];
  readonly api: Api;
  readonly #running = new Map<string, ServiceProcess>();
  /** Of processes that were killed. */
  readonly #ended: Promise<void>[] = [];

  private constructor(
    readonly folder: string,
    readonly mongo: EmbeddedMongo,
    members: readonly Member[],
    apiKey: string,
  ) {
    this.members = members;
    const gateway = members.find(({ name }) => name === 'gateway')?.address ?? '';
    const options = { credential: { apiKey }, defaultDeadlineMs: 30_000 };
    this.api = {
      connections: createClient(ConnectionServiceDefinition, gateway, options),
      syncs: createClient(SyncServiceDefinition, gateway, options),
      records: createClient(RecordServiceDefinition, gateway, options),
    };
  }

  static async start(shape: ClusterShape): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-chaos-'));
    const mongo = await startEmbeddedMongo({
      dataDir: join(folder, 'mongo'),
      env: process.env,
      log: () => undefined,
    });
    const apiKey = `tm_${randomBytes(8).toString('hex')}_${randomBytes(24).toString('hex')}`;
    const cluster = new Cluster(folder, mongo, await membersOf(shape, mongo.uri, apiKey), apiKey);
    try {
      for (const { name } of cluster.members) await cluster.launch(name);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** The lease of a run, in milliseconds: a process that stands still for longer has lost its runs. */
  get leaseMs(): number {
    return LEASE_SECONDS * 1_000;
  }

  /** A driver connected to the database. */
  async driver(): Promise<Awaited<ReturnType<typeof connectMongo>>> {
    return connectMongo(this.mongo.uri, { appName: 'tidemark-chaos' });
  }

  /** Starts a member that is down, and waits until it takes calls. */
  async launch(name: string): Promise<void> {
    const { main, env } = this.#member(name);
    const service = new ServiceProcess(
      { name, main, env, heapMb: 160, logFile: join(this.folder, `${name}.log`) },
      // It is us who end them.
      { onTrouble: () => undefined, onUnexpectedEnd: () => undefined },
    );
    this.#running.set(name, service);
    await service.ready(new AbortController().signal);
  }

  /** Ends a member at once, as a crash would. */
  kill(name: string): void {
    const service = this.#service(name);
    this.#running.delete(name);
    service.signal('SIGKILL');
    this.#ended.push(service.stop());
  }

  /** Ends a member in order. */
  async end(name: string): Promise<void> {
    const service = this.#service(name);
    this.#running.delete(name);
    await service.stop();
  }

  /** Lets a member stand still, and go on as if nothing had been. */
  freeze(name: string): () => void {
    const service = this.#service(name);
    service.signal('SIGSTOP');
    return () => service.signal('SIGCONT');
  }

  async stop(): Promise<void> {
    for (const client of Object.values(this.api) as { close(): void }[]) client.close();
    await Promise.all([...this.#running.values()].toReversed().map((service) => service.stop()));
    await Promise.all(this.#ended);
    await this.mongo.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  #member(name: string): Member {
    const member = this.members.find((each) => each.name === name);
    if (member === undefined) throw new Error(`no ${name} in the cluster`);
    return member;
  }

  #service(name: string): ServiceProcess {
    const service = this.#running.get(name);
    if (service === undefined) throw new Error(`${name} does not run`);
    return service;
  }
}

async function membersOf(shape: ClusterShape, mongoUri: string, apiKey: string): Promise<Member[]> {
  const {
    connector,
    others = [],
    scheduling = {},
    toStore = (_, address) => Promise.resolve(address),
  } = shape;
  const shared = {
    TIDEMARK_INTERNAL_TOKEN: randomBytes(32).toString('hex'),
    TIDEMARK_MASTER_KEY: randomBytes(32).toString('base64'),
    TIDEMARK_LOG_LEVEL: 'info',
  };
  const member = async (name: string, main: string, env: Record<string, string>): Promise<Member> => {
    const address = await freeAddress();
    const all = { ...inherited(), ...shared, TIDEMARK_LISTEN: address, ...env };
    return { name, main: join(ROOT, main), address, env: all };
  };
  const connectors = await Promise.all(
    [connector, ...others].map(({ name, main, env }) => member(name, main, env ?? {})),
  );
  const numbered = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
  const stores = await Promise.all(
    numbered(shape.stores).map((number) =>
      member(`store-${number}`, 'apps/store/dist/main.js', {
        TIDEMARK_STORE_MONGODB_URI: databaseOf(mongoUri, 'store'),
      }),
    ),
  );
  const storeOf = (number: number): string => stores[number % stores.length]?.address ?? '';
  const schedulers = await Promise.all(
    numbered(shape.schedulers).map(async (number) =>
      member(`scheduler-${number}`, 'apps/scheduler/dist/main.js', {
        TIDEMARK_CONTROL_MONGODB_URI: databaseOf(mongoUri, 'control'),
        TIDEMARK_STORE_ADDRESS: await toStore(number, storeOf(number)),
        TIDEMARK_CONNECTORS: connectors.map(({ name, address }) => `${name}=${address}`).join(','),
        TIDEMARK_BOOTSTRAP_API_KEY: apiKey,
        TIDEMARK_LEASE_SECONDS: String(LEASE_SECONDS),
        ...scheduling,
      }),
    ),
  );
  const gateway = await member('gateway', 'apps/gateway/dist/main.js', {
    TIDEMARK_STORE_ADDRESS: storeOf(0),
    TIDEMARK_SCHEDULER_ADDRESS: schedulers[0]?.address ?? '',
  });
  return [...connectors, ...stores, ...schedulers, gateway];
}

function inherited(): Record<string, string> {
  const entries = Object.entries(process.env).filter(([name]) => !name.startsWith('TIDEMARK_'));
  return Object.fromEntries(entries.map(([name, value]) => [name, value ?? '']));
}

function databaseOf(uri: string, name: string): string {
  const address = new URL(uri);
  address.pathname = `tidemark_${name}`;
  return address.href;
}

/** An address that nobody listens on: it stays a member's over its restarts. */
export async function freeAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${port}`;
}
