import { RecordServiceDefinition, type RecordServiceImplementation } from '@tidemark/contracts';
import { TidemarkError } from '@tidemark/model';
import { createClient, type ClientOptions, type RpcClient } from '../client.js';
import type { RpcLogger } from '../logger.js';
import { startServer, type RpcServer, type ServerOptions } from '../server.js';
import { bind } from '../service-binding.js';

/** What a server logged. */
export interface LogEntry {
  readonly level: keyof RpcLogger;
  readonly fields: object;
  readonly message: string;
}

/** A logger that keeps what it is given. */
export function recordLogs(): { logger: RpcLogger; entries: LogEntry[] } {
  const entries: LogEntry[] = [];
  const write = (level: keyof RpcLogger) => (fields: object, message: string) =>
    void entries.push({ level, fields, message });
  const logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  return { logger, entries };
}

/** A listening RecordService with a client to it; what is not implemented answers FEATURE_UNSUPPORTED. */
export interface RecordServer {
  readonly server: RpcServer;
  readonly client: RpcClient<typeof RecordServiceDefinition>;
  readonly logs: readonly LogEntry[];
  close(): Promise<void>;
}

/** Starts a RecordService on a free port. */
export async function startRecordServer(
  handlers: Partial<RecordServiceImplementation>,
  options: Partial<ServerOptions & ClientOptions> = {},
): Promise<RecordServer> {
  const { logger, entries } = recordLogs();
  const server = await startServer({
    address: '127.0.0.1:0',
    services: [bind(RecordServiceDefinition, { ...UNSUPPORTED, ...handlers })],
    logger,
    ...options,
  });
  const client = createClient(RecordServiceDefinition, server.address, { credential: undefined, ...options });
  const close = async () => {
    client.close();
    await server.stop();
  };
  return { server, client, logs: entries, close };
}

const refuse = (): never => {
  throw new TidemarkError('FEATURE_UNSUPPORTED', 'not part of this test');
};

const UNSUPPORTED: RecordServiceImplementation = {
  streamRecords: refuse,
  watchChanges: refuse,
  getRecord: refuse,
  listRecordVersions: refuse,
  listQuarantine: refuse,
};
