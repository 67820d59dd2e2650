import { RpcStatus } from '@tidemark/contracts';
import { TidemarkError } from '@tidemark/model';
import {
  bind,
  createClient,
  DETAILS_TRAILER,
  forTenant,
  isInternalRefusal,
  passThrough,
  tenantOf,
  type CallContext,
  type CallOptions,
  type RawDefinition,
  type ServiceBinding,
} from '@tidemark/rpc';
import type { ServiceImplementation, TsProtoServiceDefinition } from 'nice-grpc';
import { ServerError, type Metadata } from 'nice-grpc-common';

/** Bound of unary calls whose callers set no deadline: creating a connection waits for its source. */
const UNARY_DEADLINE_MS = 300_000;

/** A service that another one answers. */
export interface Relay {
  /** Relays every method of the service. */
  readonly binding: ServiceBinding;
  /** Closes the connection to the other service. */
  close(): void;
}

type UnaryCall = (request: Uint8Array, options: CallOptions) => Promise<Uint8Array>;
type StreamCall = (request: Uint8Array, options: CallOptions) => AsyncIterable<Uint8Array>;

/**
 * Relays a service to the one at `address`, message by message as bytes. Cancellation and deadlines of the caller
 * reach it, its back-pressure and failures reach the caller unchanged; unreachable, it is SERVICE_UNAVAILABLE.
 */
export function relay<Definition extends TsProtoServiceDefinition>(
  definition: Definition,
  address: string,
  internalToken: string,
): Relay {
  const raw = passThrough(definition);
  const client = createClient(raw, address, {
    credential: { internalToken },
    defaultDeadlineMs: UNARY_DEADLINE_MS,
  });
  // The client's type cannot be resolved while the definition is open.
  const calls: Readonly<Record<string, unknown>> = client;
  const methods = Object.entries(definition.methods).map(([name, method]) => {
    if (method.requestStream) {
      throw new Error(
        `${definition.fullName}/${method.name} takes a stream, which the gateway does not relay`,
      );
    }
    const call = calls[name];
    return [name, method.responseStream ? relayStream(call as StreamCall) : relayUnary(call as UnaryCall)];
  });
  const implementation = Object.fromEntries(methods) as ServiceImplementation<RawDefinition<Definition>>;
  return { binding: bind(raw, implementation), close: () => client.close() };
}

function relayUnary(call: UnaryCall) {
  return async (request: Uint8Array, context: CallContext): Promise<Uint8Array> => {
    const upstream = new Upstream(context);
    try {
      return await call(request, upstream.options);
    } catch (error) {
      throw upstream.failure(error);
    }
  };
}

function relayStream(call: StreamCall) {
  return async function* (
    request: Uint8Array,
    context: CallContext,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const upstream = new Upstream(context);
    try {
      yield* call(request, upstream.options);
    } catch (error) {
      throw upstream.failure(error);
    }
  };
}

/** The call to the other service that answers one call of ours. */
class Upstream {
  private trailer: Metadata | undefined;
  readonly options: CallOptions;

  constructor(private readonly context: CallContext) {
    this.options = {
      metadata: forTenant(tenantOf(context)),
      signal: context.signal,
      onTrailer: (trailer) => {
        this.trailer = trailer;
      },
    };
  }

  /** What to answer for a failure: the other service's own status, or the client's error where it sent none. */
  failure(error: unknown): unknown {
    if (isInternalRefusal(error)) {
      // Not the caller's fault, so not the caller's error.
      return new TidemarkError('INTERNAL', 'the gateway cannot call its services', { cause: error });
    }
    const details = this.trailer?.get(DETAILS_TRAILER);
    if (!(details instanceof Uint8Array)) {
      return error;
    }
    // Bytes as they came, so that reasons and details newer than this gateway pass too.
    this.context.trailer.set(DETAILS_TRAILER, details);
    const { code, message } = RpcStatus.decode(details);
    return new ServerError(code, message);
  }
}
