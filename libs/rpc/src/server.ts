import { setImmediate } from 'node:timers/promises';
import { setLogger } from '@grpc/grpc-js';
import { TidemarkError } from '@tidemark/model';
import { createServer, type Server, type ServerAddBuilder, type ServerMiddleware } from 'nice-grpc';
import { HealthDefinition, HealthServiceImpl, HealthState } from 'nice-grpc-server-health';
import { parseLoopbackAddress } from './address.js';
import { answerErrors } from './answer-errors.js';
import { channelOptions } from './channel-options.js';
import type { RpcLogger } from './logger.js';
import { trackStreams, type OpenStreams } from './open-streams.js';
import { addReflection } from './reflection.js';
import type { ServiceBinding } from './service-binding.js';
import { cutOffStalledCalls, DEFAULT_STALL_MS } from './stalled-calls.js';

/** How long a stopping server waits for calls in flight. */
const DRAIN_MS = 5_000;

/** What a server serves, and where. */
export interface ServerOptions {
  /** `host:port` on loopback; port 0 takes a free one. */
  readonly address: string;
  readonly services: readonly ServiceBinding[];
  readonly logger: RpcLogger;
  /** Wraps the services in this order, the first outermost; not health and reflection, which need no credentials. */
  readonly middleware?: readonly ServerMiddleware[];
  /** Bound of one message both ways. Default 16 MiB. */
  readonly maxMessageBytes?: number;
  /** How long an answer may wait for a caller that takes nothing, in milliseconds. Default 60 s. */
  readonly stallMs?: number;
}

/** A listening server. */
export interface RpcServer {
  /** `host:port` as bound. */
  readonly address: string;
  /** Aborts when `stop` is called. */
  readonly stopping: AbortSignal;
  /** Turns health to NOT_SERVING, ends streams with SERVICE_UNAVAILABLE, drains for 5 s at most, then closes by force. */
  stop(): Promise<void>;
}

/** Starts a server with health and reflection beside the given services. Throws CONFIG_INVALID for a bad or taken address. */
export async function startServer(options: ServerOptions): Promise<RpcServer> {
  const { host, port } = parseLoopbackAddress(options.address);
  logGrpcTo(options.logger);
  const streams = trackStreams(options.logger);
  const interceptors = [cutOffStalledCalls(options.stallMs ?? DEFAULT_STALL_MS, options.logger)];
  const server = createServer({ ...channelOptions(options.maxMessageBytes), interceptors })
    .use(answerErrors(options.logger))
    .use(streams.middleware);
  const health = HealthState();
  server.add(HealthDefinition, HealthServiceImpl(health));
  const names = options.services.map((service) => service.fullName);
  await addReflection(server, names);
  const wrapped = (options.middleware ?? []).reduce(
    (builder, each) => builder.with(each),
    server as ServerAddBuilder<object>,
  );
  options.services.forEach((service) => service.addTo(wrapped));
  const bound = await listen(server, host, port);
  names.forEach((name) => health.setStatus('healthy', name));
  let stopped: Promise<void> | undefined;
  const stop = () =>
    (stopped ??= stopServer(server, streams, () =>
      ['', ...names].forEach((name) => health.setStatus('unhealthy', name)),
    ));
  return { address: `${host}:${bound}`, stopping: streams.stopping, stop };
}

/** gRPC writes to the console by itself, once per process; what it says there is in the errors too. */
function logGrpcTo(logger: RpcLogger): void {
  setLogger({ error: (message: unknown) => logger.debug({ grpc: String(message) }, 'grpc') });
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  try {
    return await server.listen(`${host}:${port}`);
  } catch (cause) {
    const taken = cause instanceof Error && cause.message.includes('EADDRINUSE');
    const why = taken ? 'another process listens there' : 'the address cannot be bound';
    throw new TidemarkError('CONFIG_INVALID', `cannot listen on ${host}:${port}: ${why}`, { cause });
  }
}

async function stopServer(server: Server, streams: OpenStreams, markUnhealthy: () => void): Promise<void> {
  markUnhealthy();
  // One turn, so that watchers of the health are told before their streams end.
  await setImmediate();
  streams.end();
  const force = setTimeout(() => server.forceShutdown(), DRAIN_MS);
  try {
    await server.shutdown();
  } finally {
    clearTimeout(force);
  }
}
