import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { ROOT } from '../world.js';

/** A process of the cluster: what to run, under an address that stays. */
export interface Member {
  readonly name: string;
  readonly main: string;
  readonly address: string;
  readonly env: Readonly<Record<string, string>>;
  /** Of a process of living sources: where its control API is. */
  readonly control?: string;
}

/** How many of what. */
export interface ClusterShape {
  readonly schedulers: number;
  readonly stores: number;
  /** Names of connectors; each is a process of living sources. */
  readonly connectors: readonly string[];
  /** Settings of the schedulers. */
  readonly scheduling?: Record<string, string>;
  /** Where a scheduler, by its number, finds the store of that address; absent: there. */
  readonly toStore?: (scheduler: number, address: string) => Promise<string>;
}

/** The lease of a run: a process that stands still for longer has lost its runs. */
export const LEASE_SECONDS = 2;

/** What a cluster's members are to run on. */
export interface Ground {
  /** Keeps what the living sources hold. */
  readonly folder: string;
  readonly mongoUri: string;
  readonly apiKey: string;
}

/** The members of a cluster, in the order in which they start. */
export async function membersOf(shape: ClusterShape, ground: Ground): Promise<Member[]> {
  const { mongoUri, apiKey, folder } = ground;
  const { toStore = (_, address) => Promise.resolve(address) } = shape;
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
  const living = async (name: string): Promise<Member> => {
    const control = await freeAddress();
    const env = { LIVING_CONTROL: control, LIVING_FILE: join(folder, `${name}.jsonl`) };
    return { ...(await member(name, 'tools/e2e/dist/source/main.js', env)), control };
  };
  const sources = await Promise.all(shape.connectors.map(living));
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
        TIDEMARK_CONNECTORS: sources.map(({ name, address }) => `${name}=${address}`).join(','),
        TIDEMARK_BOOTSTRAP_API_KEY: apiKey,
        TIDEMARK_LEASE_SECONDS: String(LEASE_SECONDS),
        ...shape.scheduling,
      }),
    ),
  );
  const gateway = await member('gateway', 'apps/gateway/dist/main.js', {
    TIDEMARK_STORE_ADDRESS: storeOf(0),
    TIDEMARK_SCHEDULER_ADDRESS: schedulers[0]?.address ?? '',
  });
  return [...sources, ...stores, ...schedulers, gateway];
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
async function freeAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${port}`;
}
