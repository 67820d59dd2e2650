import { connectMongo, startEmbeddedMongo } from '@tidemark/mongo';
import type { Environment } from '@tidemark/runtime';
import { hostsOf } from './mongo-address.js';

const SELECTION_TIMEOUT_MS = 5_000;

/** A MongoDB that answers. */
export interface Database {
  readonly uri: string;
  /** Of the embedded server. */
  readonly pid?: number;
  stop(): Promise<void>;
}

/** Which MongoDB to take. */
export interface DatabaseOptions {
  /** A given one; without it, an embedded one is started. */
  readonly uri: string | undefined;
  readonly dataDir: string;
  readonly env: Environment;
  readonly say: (line: string) => void;
  readonly onUnexpectedEnd: (how: string) => void;
}

/** Connects to the given MongoDB, or starts an embedded one. Throws a TidemarkError that says what to do. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { uri, dataDir, env, say, onUnexpectedEnd } = options;
  if (uri === undefined) {
    return startEmbeddedMongo({ dataDir, env, log: say, onUnexpectedExit: onUnexpectedEnd });
  }
  say(`MongoDB: the given one at ${hostsOf(uri)}`);
  const client = await connectMongo(uri, {
    appName: 'tidemark-up',
    selectionTimeoutMs: SELECTION_TIMEOUT_MS,
  });
  await client.close();
  return { uri, stop: () => Promise.resolve() };
}
