import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { TidemarkError } from '@tidemark/model';
import { MongoInstance } from 'mongodb-memory-server-core';
import { findMongod, type FoundMongod, type MongodOrigin } from './find-mongod.js';
import { choosePort, refuseUsedDirectory } from './embedded-checks.js';
import { becomePrimary, REPLICA_SET } from './replica-set.js';

const LOOPBACK = '127.0.0.1';
const DEFAULT_CACHE_MB = 48;
const OPLOG_MB = 1024;
const LAUNCH_TIMEOUT_MS = 60_000;
const PORT_ATTEMPTS = 3;
const UNCOMPRESSED = [
  ...['--wiredTigerCollectionBlockCompressor', 'none', '--wiredTigerJournalCompressor', 'none'],
  ...['--wiredTigerIndexPrefixCompression', 'false'],
];

/** How to start the embedded database. */
export interface EmbeddedMongoOptions {
  /** Keeps the data; made when absent. One server at a time may use it. */
  readonly dataDir: string;
  /** 0, the default, takes a free port. */
  readonly port?: number;
  /** WiredTiger's cache in MB; 48 by default. */
  readonly cacheSizeMB?: number;
  /** Server parameters, as `--setParameter` takes them. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Writes data, indexes and journal as they are, so that a search of the raw files finds what they hold. */
  readonly uncompressed?: boolean;
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
  const { instance, port } = await launch(mongod, dataDir, options);
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

async function launch(
  mongod: FoundMongod,
  dataDir: string,
  options: EmbeddedMongoOptions,
): Promise<{ instance: MongoInstance; port: number }> {
  const wanted = options.port ?? 0;
  for (let attempt = 1; ; attempt += 1) {
    const port = await choosePort(LOOPBACK, wanted);
    try {
      return { instance: await launchOn(port, mongod, dataDir, options), port };
    } catch (error) {
      // Another process may take a free port between our look and mongod's start.
      const isTaken = error instanceof Error && error.message.includes('already in use');
      if (wanted !== 0 || !isTaken || attempt === PORT_ATTEMPTS) {
        throw new TidemarkError(
          'DATABASE_UNAVAILABLE',
          'The embedded MongoDB does not start on its data directory.',
          {
            cause: error,
          },
        );
      }
    }
  }
}

function launchOn(
  port: number,
  mongod: FoundMongod,
  dataDir: string,
  options: EmbeddedMongoOptions,
): Promise<MongoInstance> {
  return MongoInstance.create({
    instance: {
      port,
      dbPath: dataDir,
      ip: LOOPBACK,
      replSet: REPLICA_SET,
      storageEngine: 'wiredTiger',
      launchTimeout: LAUNCH_TIMEOUT_MS,
      args: mongodArguments(options),
    },
    // The true version keeps the memory server from warning that it expected another one.
    binary: { systemBinary: mongod.path, version: mongod.version },
    // A group of its own: a Ctrl-C in the terminal must not stop it before the services that use it.
    spawn: { detached: true },
  });
}

function mongodArguments({
  cacheSizeMB = DEFAULT_CACHE_MB,
  parameters = {},
  uncompressed,
}: EmbeddedMongoOptions): string[] {
  const all = {
    diagnosticDataCollectionEnabled: 'false',
    // A killed process leaves its transaction behind, and others wait for it; ours take far less than this.
    transactionLifetimeLimitSeconds: '10',
    ...parameters,
  };
  return [
    // mongod's own option takes no less than 256 MB.
    ...[
      '--wiredTigerEngineConfigString',
      `cache_size=${String(cacheSizeMB)}M`,
      '--oplogSize',
      String(OPLOG_MB),
    ],
    ...Object.entries(all).flatMap(([name, value]) => ['--setParameter', `${name}=${value}`]),
    ...(uncompressed ? UNCOMPRESSED : []),
    // A socket file in /tmp would outlive a kill.
    ...(process.platform === 'win32' ? [] : ['--nounixsocket']),
  ];
}
