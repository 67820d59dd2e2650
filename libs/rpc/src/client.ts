import { ChannelCredentials } from '@grpc/grpc-js';
import {
  createChannel,
  createClientFactory,
  type Client,
  type ClientMiddleware,
  type CompatServiceDefinition,
  type Metadata,
} from 'nice-grpc';
import { parseLoopbackAddress } from './address.js';
import { withCredential, type Credential } from './auth.js';
import { clientChannelOptions } from './channel-options.js';
import { deadline, type DeadlineOptions } from './deadline.js';
import { fromClientError } from './status.js';

/** How a client calls. */
export interface ClientOptions {
  /** What each call proves itself with. */
  readonly credential: Credential;
  /** Deadline of unary calls that set none, in milliseconds. Default 30 s. */
  readonly defaultDeadlineMs?: number;
}

/** The typed client of a service. Everything it throws is a TidemarkError. */
export type RpcClient<Definition extends CompatServiceDefinition> = Client<Definition, DeadlineOptions> & {
  /** Closes the connection; calls in flight end with SERVICE_UNAVAILABLE. */
  close(): void;
};

/**
 * Makes the typed client of a service. It connects with the first call and again whenever it has to. Cancel a call
 * with `signal`, a stream also by leaving its loop. Throws CONFIG_INVALID for an address off loopback.
 */
export function createClient<Definition extends CompatServiceDefinition>(
  definition: Definition,
  address: string,
  options: ClientOptions,
): RpcClient<Definition> {
  const { host, port } = parseLoopbackAddress(address);
  const channel = createChannel(
    `${host}:${port}`,
    ChannelCredentials.createInsecure(),
    clientChannelOptions(),
  );
  // The last one used is the outermost.
  const client = createClientFactory()
    .use(sendCredential(options.credential))
    .use(deadline(options.defaultDeadlineMs ?? 30_000))
    .use(typedErrors)
    .create(definition, channel);
  return Object.assign(client, { close: () => channel.close() });
}

function sendCredential(credential: Credential): ClientMiddleware {
  return async function* (call, options) {
    const metadata =
      credential === undefined ? options.metadata : withCredential(options.metadata, credential);
    return yield* call.next(call.request, metadata === undefined ? options : { ...options, metadata });
  };
}

const typedErrors: ClientMiddleware = async function* (call, options) {
  let trailer: Metadata | undefined;
  const onTrailer = (received: Metadata) => {
    trailer = received;
    options.onTrailer?.(received);
  };
  try {
    return yield* call.next(call.request, { ...options, onTrailer });
  } catch (error) {
    throw fromClientError(error, trailer);
  }
};
