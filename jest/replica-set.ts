import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  connectMongo,
  findMongod,
  initiateReplicaSet,
  launchMongod,
  REPLICA_SET,
  type FoundMongod,
  type LaunchedMongod,
} from '@tidemark/mongo';

const NODES = [0, 1, 2];
const POLL_MS = 100;
const ELECTION_MS = 500;
/** The states of a member that takes part. */
const PRIMARY = 1;
const SECONDARY = 2;
const TAKING_PART = new Set([PRIMARY, SECONDARY]);

/** A real replica set of three mongods on loopback, for tests that kill its primary. */
export interface TestReplicaSet {
  readonly uri: string;
  /** The process id of the primary, once there is one. */
  primaryPid(): Promise<number>;
  /** Kills the primary at once (SIGKILL), waits for its end and says which node it was. */
  killPrimary(): Promise<number>;
  /** Starts a killed node again on its data and its port. */
  restart(node: number): Promise<void>;
  /** Resolves when every node takes part and one of them is the primary. */
  settled(): Promise<void>;
  /** Kills all nodes and removes their data. */
  stop(): Promise<void>;
}

interface Member {
  readonly _id: number;
  readonly state: number;
  readonly health: number;
}

/** Starts three mongods below `dataDir`, elects a primary, and waits until all of them take part. Elections take less than a second. */
export async function startReplicaSet({ dataDir }: { dataDir: string }): Promise<TestReplicaSet> {
  const mongod = await findMongod({ env: process.env, log: () => undefined });
  const set = new ReplicaSet(mongod, dataDir);
  try {
    await set.start();
  } catch (error) {
    await set.stop();
    throw error;
  }
  return set;
}

class ReplicaSet implements TestReplicaSet {
  readonly #nodes: (LaunchedMongod | undefined)[] = [];
  readonly #ports: number[] = [];

  constructor(
    readonly mongod: FoundMongod,
    readonly dataDir: string,
  ) {}

  get uri(): string {
    return `mongodb://${this.#ports.map(host).join(',')}/?replicaSet=${REPLICA_SET}`;
  }

  async start(): Promise<void> {
    for (const node of NODES) await this.restart(node);
    await initiateReplicaSet(this.#ports.map(host), {
      electionTimeoutMillis: ELECTION_MS,
      heartbeatIntervalMillis: 100,
      heartbeatTimeoutSecs: 1,
    });
    await this.settled();
  }

  async restart(node: number): Promise<void> {
    const dataDir = join(this.dataDir, String(node));
    await mkdir(dataDir, { recursive: true });
    const port = this.#ports[node] ?? 0;
    const launched = await launchMongod(this.mongod, {
      dataDir,
      port,
      cacheSizeMB: 32,
      oplogSizeMB: 128,
      parameters: { enableTestCommands: '1' },
    });
    this.#nodes[node] = launched;
    this.#ports[node] = launched.port;
  }

  async settled(): Promise<void> {
    for (;;) {
      const members = await this.#members();
      const allTakePart = members.every(({ health, state }) => health === 1 && TAKING_PART.has(state));
      if (members.length === NODES.length && allTakePart && (await this.#findPrimary(members)) !== undefined)
        return;
      await sleep(POLL_MS);
    }
  }

  async primaryPid(): Promise<number> {
    return pidOf(this.#nodes[await this.#primary()]);
  }

  async killPrimary(): Promise<number> {
    const node = await this.#primary();
    await this.#kill(node);
    return node;
  }

  async stop(): Promise<void> {
    await Promise.all(NODES.filter((node) => this.#nodes[node]).map((node) => this.#kill(node)));
    await rm(this.dataDir, { recursive: true, force: true });
  }

  async #kill(node: number): Promise<void> {
    const child = this.#nodes[node]?.instance.mongodProcess;
    const pid = pidOf(this.#nodes[node]);
    this.#nodes[node] = undefined;
    const exit = child && once(child, 'exit');
    process.kill(pid, 'SIGKILL');
    await exit;
  }

  async #primary(): Promise<number> {
    for (;;) {
      const primary = await this.#findPrimary(await this.#members());
      if (primary !== undefined) return primary;
      await sleep(POLL_MS);
    }
  }

  /** Who is the primary by its own word: others take a while to learn that it is one no more. */
  async #findPrimary(members: readonly Member[]): Promise<number | undefined> {
    for (const { _id, state } of members) {
      if (state !== PRIMARY || this.#nodes[_id] === undefined) continue;
      const hello = await this.#ask(_id, { hello: 1 });
      if (hello?.['isWritablePrimary'] === true) return _id;
    }
    return undefined;
  }

  /** The members as the first node sees them that answers; none while no node does. */
  async #members(): Promise<readonly Member[]> {
    for (const node of NODES) {
      const answer = this.#nodes[node] && (await this.#ask(node, { replSetGetStatus: 1 }));
      if (answer) return answer['members'] as Member[];
    }
    return [];
  }

  /** Undefined from a node that has just started, or is just being elected or deposed: it is asked again. */
  async #ask(node: number, command: Record<string, unknown>): Promise<Record<string, unknown> | undefined> {
    const address = `mongodb://${host(this.#ports[node] ?? 0)}/?directConnection=true`;
    try {
      const client = await connectMongo(address, { appName: 'tidemark-tests-replica-set' });
      try {
        return await client.db('admin').command(command);
      } finally {
        await client.close();
      }
    } catch {
      return undefined;
    }
  }
}

function host(port: number): string {
  return `127.0.0.1:${port}`;
}

function pidOf(launched: LaunchedMongod | undefined): number {
  const pid = launched?.instance.mongodProcess?.pid;
  if (pid === undefined) throw new Error('a node of the replica set is not running');
  return pid;
}
