import {
  ConnectionServiceDefinition,
  RecordServiceDefinition,
  SyncServiceDefinition,
} from '@tidemark/contracts';
import { createClient, type RpcClient } from '@tidemark/rpc';
import type { Target } from './target.js';

/** The typed clients of the public API. */
export interface Gateway {
  readonly address: string;
  readonly connections: RpcClient<typeof ConnectionServiceDefinition>;
  readonly syncs: RpcClient<typeof SyncServiceDefinition>;
  readonly records: RpcClient<typeof RecordServiceDefinition>;
  close(): void;
}

/** For calls that wait for a source: checking, discovering, deleting. */
export const SOURCE_DEADLINE_MS = 180_000;

/** Makes the clients; they connect with the first call. */
export function createGateway({ address, apiKey }: Target): Gateway {
  const options = { credential: apiKey === undefined ? undefined : { apiKey } };
  const connections = createClient(ConnectionServiceDefinition, address, options);
  const syncs = createClient(SyncServiceDefinition, address, options);
  const records = createClient(RecordServiceDefinition, address, options);
  return {
    address,
    connections,
    syncs,
    records,
    close: () => {
      connections.close();
      syncs.close();
      records.close();
    },
  };
}
