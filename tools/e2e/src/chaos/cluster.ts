import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ServiceProcess } from '@tidemark/cli';
import {
  ConnectionServiceDefinition,
  RecordServiceDefinition,
  SyncServiceDefinition,
} from '@tidemark/contracts';
import { connectMongo, startEmbeddedMongo, type EmbeddedMongo } from '@tidemark/mongo';
import { createClient, type RpcClient } from '@tidemark/rpc';
import { LivingClient } from '../source/living-client.js';
import { membersOf, type ClusterShape, type Member } from './members.js';

/** The public API, as the gateway serves it. */
export interface Api {
  readonly connections: RpcClient<typeof ConnectionServiceDefinition>;
  readonly syncs: RpcClient<typeof SyncServiceDefinition>;
  readonly records: RpcClient<typeof RecordServiceDefinition>;
}

/** A driver connected to the cluster's database. */
export type Driver = Awaited<ReturnType<typeof connectMongo>>;

/** Services as processes of their own on one database, each of which can be killed, stopped and started again. */
export class Cluster {
  readonly api: Api;
  /** Members that ended though nobody ended them. */
  readonly deaths: string[] = [];
  readonly #running = new Map<string, ServiceProcess>();
  /** Of processes that were killed. */
  readonly #ended: Promise<void>[] = [];
  #mongo: EmbeddedMongo;

  private constructor(
    private readonly folder: string,
    mongo: EmbeddedMongo,
    private readonly members: readonly Member[],
    apiKey: string,
  ) {
    this.#mongo = mongo;
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
    const mongo = await startDatabase(folder, 0);
    const apiKey = `tm_${randomBytes(8).toString('hex')}_${randomBytes(24).toString('hex')}`;
    const members = await membersOf(shape, { folder, mongoUri: mongo.uri, apiKey });
    const cluster = new Cluster(folder, mongo, members, apiKey);
    try {
      for (const { name } of cluster.members) await cluster.launch(name);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** A driver connected to the database. */
  async driver(): Promise<Driver> {
    return connectMongo(this.#mongo.uri, { appName: 'tidemark-chaos' });
  }

  /** The living sources that a connector serves. */
  living(connector: string): LivingClient {
    return new LivingClient(() => this.#member(connector).control ?? '');
  }

  /** Starts a member that is down, and waits until it takes calls. */
  async launch(name: string): Promise<void> {
    const { main, env } = this.#member(name);
    const service = new ServiceProcess(
      { name, main, env, heapMb: 160, logFile: join(this.folder, `${name}.log`) },
      { onTrouble: () => undefined, onUnexpectedEnd: ({ message }) => this.deaths.push(message) },
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

  /** Ends the database at once, as a crash would. */
  async killDatabase(): Promise<void> {
    const { pid } = this.#mongo;
    process.kill(pid, 'SIGKILL');
    while (isAlive(pid)) await sleep(20);
    await this.#mongo.stop();
  }

  /** Starts the database again after it was killed, at the same port with its data. */
  async launchDatabase(): Promise<void> {
    this.#mongo = await startDatabase(this.folder, Number(new URL(this.#mongo.uri).port));
  }

  /** Lets the database stand still, and go on as if nothing had been. */
  freezeDatabase(): () => void {
    const { pid } = this.#mongo;
    process.kill(pid, 'SIGSTOP');
    return () => process.kill(pid, 'SIGCONT');
  }

  async stop(): Promise<void> {
    for (const client of Object.values(this.api) as { close(): void }[]) client.close();
    await Promise.all([...this.#running.values()].toReversed().map((service) => service.stop()));
    await Promise.all(this.#ended);
    await this.#mongo.stop();
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

function startDatabase(folder: string, port: number): Promise<EmbeddedMongo> {
  const dataDir = join(folder, 'mongo');
  return startEmbeddedMongo({ dataDir, port, env: process.env, log: () => undefined });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
