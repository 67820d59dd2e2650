import { TidemarkError } from '@tidemark/model';
import { MongoInstance } from 'mongodb-memory-server-core';
import { choosePort } from './embedded-checks.js';
import type { FoundMongod } from './find-mongod.js';
import { REPLICA_SET } from './replica-set.js';

/** Where every mongod that we start listens. */
export const LOOPBACK = '127.0.0.1';

const DEFAULT_CACHE_MB = 48;
const DEFAULT_OPLOG_MB = 1024;
const LAUNCH_TIMEOUT_MS = 60_000;
const PORT_ATTEMPTS = 3;
const UNCOMPRESSED = [
  ...['--wiredTigerCollectionBlockCompressor', 'none', '--wiredTigerJournalCompressor', 'none'],
  ...['--wiredTigerIndexPrefixCompression', 'false'],
];

/** How a mongod is started. */
export interface MongodSettings {
  /** Keeps the data. One server at a time may use it. */
  readonly dataDir: string;
  /** 0, the default, takes a free port. */
  readonly port?: number;
  /** WiredTiger's cache in MB; 48 by default. */
  readonly cacheSizeMB?: number;
  /** Bound of the oplog in MB; 1,024 by default. */
  readonly oplogSizeMB?: number;
  /** Seconds from one checkpoint to the next; mongod's 60 by default. */
  readonly checkpointSeconds?: number;
  /** Server parameters, as `--setParameter` takes them. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Writes data, indexes and journal as they are, so that a search of the raw files finds what they hold. */
  readonly uncompressed?: boolean;
}

/** A mongod that takes connections. */
export interface LaunchedMongod {
  readonly instance: MongoInstance;
  readonly port: number;
}

/**
 * Starts a mongod on a directory that is there, and waits until it takes connections. Its replica set is the caller's to
 * initiate. It ends with this process, however this process ends. Throws DATABASE_UNAVAILABLE, and CONFIG_INVALID for a
 * port that is taken.
 */
export async function launchMongod(mongod: FoundMongod, options: MongodSettings): Promise<LaunchedMongod> {
  const wanted = options.port ?? 0;
  for (let attempt = 1; ; attempt += 1) {
    const port = await choosePort(LOOPBACK, wanted);
    try {
      return { instance: await launchOn(port, mongod, options), port };
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

function launchOn(port: number, mongod: FoundMongod, options: MongodSettings): Promise<MongoInstance> {
  return MongoInstance.create({
    instance: {
      port,
      dbPath: options.dataDir,
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
  oplogSizeMB = DEFAULT_OPLOG_MB,
  checkpointSeconds,
  parameters = {},
  uncompressed,
}: MongodSettings): string[] {
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
      String(oplogSizeMB),
    ],
    ...Object.entries(all).flatMap(([name, value]) => ['--setParameter', `${name}=${value}`]),
    ...(checkpointSeconds === undefined ? [] : ['--syncdelay', String(checkpointSeconds)]),
    ...(uncompressed ? UNCOMPRESSED : []),
    // A socket file in /tmp would outlive a kill.
    ...(process.platform === 'win32' ? [] : ['--nounixsocket']),
  ];
}
