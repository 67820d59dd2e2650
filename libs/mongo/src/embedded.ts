import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { TidemarkError } from '@tidemark/model';
import { findMongod, type MongodOrigin } from './find-mongod.js';
import { refuseUsedDirectory } from './embedded-checks.js';
import { launchMongod, LOOPBACK, type MongodSettings } from './mongod-process.js';
import { becomePrimary, REPLICA_SET } from './replica-set.js';

/** How to start the embedded database. */
export interface EmbeddedMongoOptions extends MongodSettings {
  /** Keeps the data; made when absent. One server at a time may use it. */
  readonly dataDir: string;
  /** The process environment: PATH, MONGOMS_SYSTEM_BINARY, proxy and pip settings. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: (line: string) => void;
  /** Called once when the server ends without having been stopped. */
  readonly onUnexpectedExit?: (how: string) => void;
}

/** A running one-node replica set on loopback. It ends with this process, however this process ends. */
export interface EmbeddedMongo {
  readonly uri: string;
  readonly version: string;
  readonly origin: MongodOrigin;
  readonly pid: number;
  /** Shuts the server down cleanly and waits for its end; the data stays. */
  stop(): Promise<void>;
}

/**
 * Finds a mongod and starts it as a one-node replica set on 127.0.0.1, ready for transactions and change streams.
 * An existing data directory is taken up again, on whatever port.
 */
export async function startEmbeddedMongo(options: EmbeddedMongoOptions): Promise<EmbeddedMongo> {
  const dataDir = resolve(options.dataDir);
  await mkdir(dataDir, { recursive: true });
  await refuseUsedDirectory(dataDir);
  const mongod = await findMongod({ env: options.env, log: options.log });
  const { instance, port } = await launchMongod(mongod, { ...options, dataDir });
  const child = instance.mongodProcess;
  const pid = child?.pid;
  if (child === undefined || pid === undefined) {
    throw new TidemarkError('DATABASE_UNAVAILABLE', 'The embedded MongoDB ended right after its start.');
  }
  try {
    await becomePrimary(LOOPBACK, port);
  } catch (error) {
    await instance.stop();
    throw error;
  }
  let stopping = false;
  child.once('exit', (code, signal) => {
    if (!stopping) {
      options.onUnexpectedExit?.(signal ?? `exit code ${String(code)}`);
    }
  });
  return {
    uri: `mongodb://${LOOPBACK}:${String(port)}/?replicaSet=${REPLICA_SET}`,
    version: mongod.version,
    origin: mongod.origin,
    pid,
    stop: async () => {
      stopping = true;
      await instance.stop();
    },
  };
}
