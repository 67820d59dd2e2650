import { TidemarkError } from '@tidemark/model';
import { MongoClient, MongoServerSelectionError, type Document } from 'mongodb';
import { toTidemarkError } from './errors.js';

const DEFAULT_SELECTION_TIMEOUT_MS = 10_000;

/** How a service connects. */
export interface ConnectOptions {
  /** Shown in the server's log and in currentOp. */
  readonly appName: string;
  /** Connections per server at most; the driver's 100 when absent. */
  readonly maxPoolSize?: number;
  /** How long to look for a server, at the start and in each operation, in milliseconds; 10,000 by default. */
  readonly selectionTimeoutMs?: number;
}

/**
 * Connects to a replica set (or a mongos), with majority reads and writes, and proves that it answers.
 * Throws DATABASE_UNAVAILABLE when nothing answers in time, CONFIG_INVALID for a bad address or a standalone server.
 */
export async function connectMongo(uri: string, options: ConnectOptions): Promise<MongoClient> {
  const client = createClient(uri, options);
  try {
    await client.connect();
    const hello = await client.db('admin').command({ hello: 1 });
    requireTransactions(hello);
    return client;
  } catch (error) {
    await client.close();
    throw connectError(error, client.options.hosts.map(String));
  }
}

function createClient(uri: string, options: ConnectOptions): MongoClient {
  const { appName, maxPoolSize, selectionTimeoutMs = DEFAULT_SELECTION_TIMEOUT_MS } = options;
  try {
    return new MongoClient(uri, {
      appName,
      ...(maxPoolSize === undefined ? {} : { maxPoolSize }),
      serverSelectionTimeoutMS: selectionTimeoutMs,
      retryWrites: true,
      writeConcern: { w: 'majority' },
      readConcern: { level: 'majority' },
      // `true` would turn { tenantId: undefined } into a filter on everything.
      ignoreUndefined: false,
    });
  } catch (error) {
    // The driver's message quotes the address, which may hold a password: it stays in the cause.
    throw new TidemarkError(
      'CONFIG_INVALID',
      'The MongoDB address is not valid: mongodb://host:port/?replicaSet=name',
      {
        cause: error,
      },
    );
  }
}

function requireTransactions(hello: Document): void {
  const isReplicaSet = typeof hello['setName'] === 'string';
  const isMongos = hello['msg'] === 'isdbgrid';
  if (!isReplicaSet && !isMongos) {
    throw new TidemarkError(
      'CONFIG_INVALID',
      'The MongoDB server is a standalone. Tidemark needs transactions and change streams: start it with --replSet NAME and run rs.initiate().',
    );
  }
}

function connectError(error: unknown, hosts: readonly string[]): TidemarkError {
  if (error instanceof MongoServerSelectionError) {
    return new TidemarkError(
      'DATABASE_UNAVAILABLE',
      `No usable MongoDB answers at ${hosts.join(', ')} in time: check that it runs, its address and its replica set name.`,
      { cause: error },
    );
  }
  return toTidemarkError(error);
}
