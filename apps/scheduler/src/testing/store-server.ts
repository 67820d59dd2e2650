import {
  StoreServiceDefinition,
  type ApplyRetentionRequest,
  type ApplyRetentionResponse,
  type ApplyScopeRequest,
  type ApplyScopeResponse,
  type BeginRunRequest,
  type BeginRunResponse,
  type CommitPageRequest,
  type CommitPageResponse,
  type FinishRunRequest,
  type FinishRunResponse,
  type ListScopeReceiptsRequest,
  type ListScopeReceiptsResponse,
  type OpenConnectionRequest,
  type OpenConnectionResponse,
  type RemoveConnectionRequest,
  type RemoveConnectionResponse,
} from '@tidemark/contracts';
import { bind, fastDefinition, startServer, type RpcServer } from '@tidemark/rpc';
import { createLogger } from '@tidemark/runtime';
import { StoreClient } from '../store-client.js';

const TOKEN = 'a-token-of-at-least-32-characters';

/** The end of the wire to the store: what is asked of it, not what it does. */
export interface StoreEnd {
  openConnection(request: OpenConnectionRequest): Promise<OpenConnectionResponse>;
  applyScope(request: ApplyScopeRequest): Promise<ApplyScopeResponse>;
  listScopeReceipts(request: ListScopeReceiptsRequest): Promise<ListScopeReceiptsResponse>;
  applyRetention(request: ApplyRetentionRequest): Promise<ApplyRetentionResponse>;
  removeConnection(request: RemoveConnectionRequest): Promise<RemoveConnectionResponse>;
  beginRun(request: BeginRunRequest): Promise<BeginRunResponse>;
  commitPage(request: CommitPageRequest): Promise<CommitPageResponse>;
  finishRun(request: FinishRunRequest): Promise<FinishRunResponse>;
}

/** A store that holds nothing, so that nothing is left to do. */
const EMPTY: StoreEnd = {
  openConnection: async () => ({ generation: 'g', scopePending: false }),
  applyScope: async () => ({ done: true }),
  listScopeReceipts: async () => ({ receipts: [] }),
  applyRetention: async () => ({ done: true, removedVersions: 0n, removedTombstones: 0n }),
  removeConnection: async () => ({ done: true, removedRecords: 0n }),
  beginRun: async () => ({
    pages: 0n,
    checkpoint: new Uint8Array(0),
    counters: undefined,
    fingerprintKey: new Uint8Array(32),
    observedSequence: 0n,
    recordCount: 0n,
    finishing: false,
    reading: 1n,
  }),
  commitPage: async () => ({ missingPayloads: [], counters: undefined, lastSequence: 0n, unchangedShare: 0 }),
  finishRun: async () => ({
    done: true,
    held: false,
    heldDeletes: 0n,
    certificate: undefined,
    counters: undefined,
    lastSequence: 0n,
    discrepancies: undefined,
  }),
};

/** Serves such an end, that of an empty store but for what is given, and a client of it. */
export async function startStoreEnd(
  end: Partial<StoreEnd>,
): Promise<{ store: StoreClient; stop(): Promise<void> }> {
  const { getStatistics: _notAsked, ...methods } = StoreServiceDefinition.methods;
  const definition = fastDefinition({ ...StoreServiceDefinition, methods });
  const server: RpcServer = await startServer({
    address: '127.0.0.1:0',
    services: [bind(definition, { ...EMPTY, ...end })],
    logger: createLogger({ service: 'test', level: 'error' }),
  });
  const store = new StoreClient(server.address, TOKEN);
  return {
    store,
    stop: async () => {
      store.close();
      await server.stop();
    },
  };
}
