import { setTimeout as sleep } from 'node:timers/promises';
import { TidemarkError } from '@tidemark/model';
import { MongoClient, MongoServerError, type Db } from 'mongodb';

/** The name of the embedded one-node replica set. */
export const REPLICA_SET = 'tidemark';

const PRIMARY_TIMEOUT_MS = 60_000;
const POLL_MS = 20;
const NOT_YET_INITIALIZED = 94;
const ALREADY_INITIALIZED = 23;

interface ReplicaSetConfig {
  readonly version: number;
  readonly members: readonly { readonly host: string }[];
}

/** Makes the server at this address the primary of a replica set of its own, whether it is new or kept data from another port. */
export async function becomePrimary(ip: string, port: number): Promise<void> {
  const host = `${ip}:${String(port)}`;
  const client = await MongoClient.connect(`mongodb://${host}`, { directConnection: true });
  try {
    const admin = client.db('admin');
    await configure(admin, host);
    await until(
      'no primary was elected',
      async () => (await admin.command({ hello: 1 }))['isWritablePrimary'] === true,
    );
  } finally {
    await client.close();
  }
}

/** Makes servers that are running, new and empty one replica set. `settings` are those of its configuration. */
export async function initiateReplicaSet(
  hosts: readonly string[],
  settings: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const client = await MongoClient.connect(`mongodb://${hosts[0] ?? ''}`, { directConnection: true });
  try {
    const members = hosts.map((host, _id) => ({ _id, host }));
    await client.db('admin').command({ replSetInitiate: { _id: REPLICA_SET, members, settings } });
  } finally {
    await client.close();
  }
}

async function configure(admin: Db, host: string): Promise<void> {
  await until('it is still reading its replica set configuration', async () => {
    const config = await currentConfig(admin);
    if (config === undefined) {
      return initiate(admin, host);
    }
    const [self] = config.members;
    if (self !== undefined && (config.members.length > 1 || self.host !== host)) {
      // After a change of port no member is this server, so no primary can take an ordinary reconfiguration.
      const replSetReconfig = { ...config, version: config.version + 1, members: [{ ...self, host }] };
      await admin.command({ replSetReconfig, force: true });
    }
    return true;
  });
}

async function currentConfig(admin: Db): Promise<ReplicaSetConfig | undefined> {
  try {
    const answer = await admin.command({ replSetGetConfig: 1 });
    return answer['config'] as ReplicaSetConfig;
  } catch (error) {
    if (hasCode(error, NOT_YET_INITIALIZED)) {
      return undefined;
    }
    throw error;
  }
}

/** False while a server with older data is still loading its configuration: it then refuses, and must be asked again. */
async function initiate(admin: Db, host: string): Promise<boolean> {
  try {
    await admin.command({ replSetInitiate: { _id: REPLICA_SET, members: [{ _id: 0, host }] } });
    return true;
  } catch (error) {
    if (hasCode(error, ALREADY_INITIALIZED)) {
      return false;
    }
    throw error;
  }
}

function hasCode(error: unknown, code: number): boolean {
  return error instanceof MongoServerError && error.code === code;
}

async function until(otherwise: string, isDone: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PRIMARY_TIMEOUT_MS;
  while (!(await isDone())) {
    if (performance.now() > deadline) {
      throw new TidemarkError('DATABASE_UNAVAILABLE', `The embedded MongoDB started, but ${otherwise}.`);
    }
    await sleep(POLL_MS);
  }
}
