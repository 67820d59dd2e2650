import {
  AuthenticateResponse,
  IdentityServiceDefinition,
  RecordServiceDefinition,
  Role,
  SyncServiceDefinition,
  type IdentityServiceImplementation,
  type RecordServiceImplementation,
  type SyncServiceImplementation,
} from '@tidemark/contracts';
import { TidemarkError } from '@tidemark/model';
import { bind, createClient, internalAuth, startServer, type RpcClient, type RpcLogger } from '@tidemark/rpc';
import { startGateway } from '../gateway.js';

/** The token that the services of these tests share. */
export const TOKEN = 'the-token-that-these-services-share';

/** API keys that the identity service of these tests knows. */
export const KEYS = {
  read: 'tm_read_secret',
  sync: 'tm_sync_secret',
  admin: 'tm_admin_secret',
  expired: 'tm_old_secret',
};

const ROLES = new Map<string, Role>([
  [KEYS.read, Role.READ],
  [KEYS.sync, Role.SYNC],
  [KEYS.admin, Role.ADMIN],
]);

/** A logger that drops everything. */
export const SILENT: RpcLogger = { debug: drop, info: drop, warn: drop, error: drop };

const refuse = (): never => {
  throw new TidemarkError('FEATURE_UNSUPPORTED', 'not part of this test');
};

const RECORDS: RecordServiceImplementation = {
  streamRecords: refuse,
  watchChanges: refuse,
  getRecord: refuse,
  listRecordVersions: refuse,
  listQuarantine: refuse,
};

const SYNCS: SyncServiceImplementation = {
  runSync: async () => ({}),
  listSyncRuns: async () => ({}),
  getSyncRun: refuse,
  watchSyncRun: refuse,
  pauseSyncRun: refuse,
  resumeSyncRun: refuse,
  cancelSyncRun: refuse,
  approveSyncRun: async () => ({}),
  discardSyncRun: refuse,
};

const IDENTITY: IdentityServiceImplementation = {
  authenticate: async ({ apiKey }) => {
    const role = ROLES.get(apiKey);
    if (role === undefined) {
      throw new TidemarkError(
        'CREDENTIAL_INVALID',
        apiKey === KEYS.expired ? 'the API key has expired' : 'unknown API key',
      );
    }
    return AuthenticateResponse.fromPartial({ tenantId: 'acme', keyId: 'key', roles: [role] });
  },
};

/** A gateway with a store and a scheduler behind it, all listening. */
export interface World {
  readonly gatewayAddress: string;
  readonly store: { stop(): Promise<void> };
  /** A client of the public records with an API key. */
  records(apiKey?: string): RpcClient<typeof RecordServiceDefinition>;
  syncs(apiKey: string): RpcClient<typeof SyncServiceDefinition>;
  close(): Promise<void>;
}

/** Starts a gateway in front of a store and a scheduler on free ports, each with the bound for stalled callers given. */
export async function startWorld(
  records: Partial<RecordServiceImplementation>,
  token = TOKEN,
  stallMs: { gateway?: number; store?: number } = {},
): Promise<World> {
  const options = { address: '127.0.0.1:0', logger: SILENT, middleware: [internalAuth(TOKEN)] };
  const store = await startServer({
    ...options,
    ...boundOf(stallMs.store),
    services: [bind(RecordServiceDefinition, { ...RECORDS, ...records })],
  });
  const scheduler = await startServer({
    ...options,
    services: [bind(SyncServiceDefinition, SYNCS), bind(IdentityServiceDefinition, IDENTITY)],
  });
  const gateway = await startGateway(
    {
      listen: '127.0.0.1:0',
      internalToken: token,
      logLevel: 'info',
      storeAddress: store.address,
      schedulerAddress: scheduler.address,
    },
    SILENT,
    boundOf(stallMs.gateway),
  );
  const clients: { close(): void }[] = [];
  const track = <Client extends { close(): void }>(client: Client): Client => {
    clients.push(client);
    return client;
  };
  return {
    gatewayAddress: gateway.address,
    store,
    records: (apiKey = KEYS.read) =>
      track(createClient(RecordServiceDefinition, gateway.address, { credential: { apiKey } })),
    syncs: (apiKey) =>
      track(createClient(SyncServiceDefinition, gateway.address, { credential: { apiKey } })),
    close: async () => {
      clients.forEach((client) => client.close());
      await gateway.stop();
      await Promise.all([store.stop(), scheduler.stop()]);
    },
  };
}

function boundOf(stallMs: number | undefined): { stallMs?: number } {
  return stallMs === undefined ? {} : { stallMs };
}

function drop(): void {
  return undefined;
}
