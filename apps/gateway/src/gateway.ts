import {
  ConnectionServiceDefinition,
  IdentityServiceDefinition,
  RecordServiceDefinition,
  SyncServiceDefinition,
} from '@tidemark/contracts';
import { createClient, startServer, type RpcLogger, type ServerOptions } from '@tidemark/rpc';
import { Authenticator } from './authenticator.js';
import { authorize } from './authorize.js';
import type { Config } from './config.js';
import { relay } from './relay.js';

/** Bound of one look-up of an API key. */
const IDENTITY_DEADLINE_MS = 5_000;

/** A listening gateway. */
export interface Gateway {
  /** `host:port` as bound. */
  readonly address: string;
  /** Ends streams with SERVICE_UNAVAILABLE, lets calls in flight finish, and closes. */
  stop(): Promise<void>;
}

/** Starts the public API: connections and syncs from the scheduler, records from the store. `bounds` are the server's. */
export async function startGateway(
  config: Config,
  logger: RpcLogger,
  bounds: Pick<ServerOptions, 'stallMs'> = {},
): Promise<Gateway> {
  const { listen, internalToken, schedulerAddress, storeAddress } = config;
  const identity = createClient(IdentityServiceDefinition, schedulerAddress, {
    credential: { internalToken },
    defaultDeadlineMs: IDENTITY_DEADLINE_MS,
  });
  const relays = [
    relay(ConnectionServiceDefinition, schedulerAddress, internalToken),
    relay(SyncServiceDefinition, schedulerAddress, internalToken),
    relay(RecordServiceDefinition, storeAddress, internalToken),
  ];
  const server = await startServer({
    ...bounds,
    address: listen,
    services: relays.map(({ binding }) => binding),
    logger,
    middleware: [authorize(new Authenticator((apiKey) => identity.authenticate({ apiKey })))],
  });
  const stop = async () => {
    await server.stop();
    [identity, ...relays].forEach((client) => client.close());
  };
  return { address: server.address, stop };
}
