import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectMongo, startEmbeddedMongo } from '@tidemark/mongo';

/** What happens to a command: see MongoDB's fail point `failCommand`. */
export interface Fault {
  readonly failCommands: readonly string[];
  /** Only commands on this collection, as `<database>.<collection>`. */
  readonly namespace?: string;
  readonly errorCode?: number;
  readonly errorLabels?: readonly string[];
  /** Breaks the connection before the command runs. */
  readonly closeConnection?: boolean;
  /** Runs the command, and answers that its write was not confirmed. */
  readonly writeConcernError?: { readonly code: number; readonly errmsg: string };
}

/** A MongoDB of a test's own whose commands can be made to fail: its one fail point is not shared with other tests. */
export interface FaultyMongo {
  readonly uri: string;
  /** Fails commands of the clients of this name that often, instead of what was to fail until now. */
  fail(appName: string, times: number | 'always', fault: Fault): Promise<void>;
  /** How often something failed since `fail`. */
  met(): Promise<number>;
  /** Lets everything succeed again, and says how often something failed. */
  heal(): Promise<number>;
  /** Runs a command on the admin database. */
  admin(command: Record<string, unknown>): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
}

/** Starts a MongoDB on a directory of its own. */
export async function startFaultyMongo(settings: { oplogSizeMB?: number } = {}): Promise<FaultyMongo> {
  const dataDir = await mkdtemp(join(tmpdir(), 'tidemark-faults-'));
  const mongo = await startEmbeddedMongo({
    ...settings,
    dataDir,
    // What the oplog holds since the last checkpoint is never dropped.
    checkpointSeconds: 1,
    parameters: { enableTestCommands: '1' },
    env: process.env,
    log: () => undefined,
  });
  const client = await connectMongo(mongo.uri, { appName: 'tidemark-tests-faults' });
  const admin = (command: Record<string, unknown>) => client.db('admin').command(command);
  const configure = async (mode: unknown, data?: object) =>
    Number((await admin({ configureFailPoint: 'failCommand', mode, ...(data && { data }) }))['count']);
  let before = 0;
  return {
    uri: mongo.uri,
    admin,
    fail: async (appName, times, fault) => {
      before = await configure(times === 'always' ? 'alwaysOn' : { times }, { appName, ...fault });
    },
    met: async () => {
      const parameter = await admin({ getParameter: 1, 'failpoint.failCommand': 1 });
      const { timesEntered } = parameter['failpoint.failCommand'] as { timesEntered: unknown };
      return Number(timesEntered) - before;
    },
    heal: async () => (await configure('off')) - before,
    stop: async () => {
      await client.close();
      await mongo.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
