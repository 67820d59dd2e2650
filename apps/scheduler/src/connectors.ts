import {
  ConnectorServiceDefinition,
  type DescribeResponse,
  type ReadRequest,
  type ReadResponse,
  type SourceSettings,
} from '@tidemark/contracts';
import { isModelName, isOutage, isTidemarkError, TidemarkError } from '@tidemark/model';
import { createClient, fastDefinition, type FastDefinition, type RpcClient } from '@tidemark/rpc';
import { Breakers, type BreakerState } from '@tidemark/runtime';
import type { CatalogueEntry } from './connection.js';
import { fromModelMessage } from './connection-messages.js';

type Client = RpcClient<FastDefinition<typeof ConnectorServiceDefinition>>;

const DESCRIBE_DEADLINE_MS = 5_000;
const CALL_DEADLINE_MS = 60_000;
/** Longer than any call: a slow first page is no outage. */
const BREAKER_TIMEOUT_MS = 300_000;
const MAX_MODELS = 1_000;
/** The catalogue is part of the connection's document, whose bound is 16 MiB. */
const MAX_CATALOGUE_BYTES = 8 * 1024 * 1024;

/** A source as one connection reaches it. */
export interface SourceTarget {
  /** Whose circuit breaker it is behind. */
  readonly breaker: string;
  readonly connector: string;
  readonly settings: SourceSettings;
}

/** The connectors that the operator configured, behind a circuit breaker for each connection. */
export class Connectors {
  private readonly clients: ReadonlyMap<string, Client>;
  private readonly breakers = new Breakers({
    timeoutMs: BREAKER_TIMEOUT_MS,
    volumeThreshold: 5,
    errorThresholdPercentage: 50,
    resetTimeoutMs: 20_000,
    windowMs: 120_000,
    isOutage: (error) => isTidemarkError(error) && isOutage(error.reason),
  });

  constructor(addresses: ReadonlyMap<string, string>, internalToken: string) {
    const definition = fastDefinition(ConnectorServiceDefinition);
    const options = { credential: { internalToken }, defaultDeadlineMs: CALL_DEADLINE_MS };
    this.clients = new Map(
      [...addresses].map(([name, address]) => [name, createClient(definition, address, options)]),
    );
  }

  /** Names, sorted. */
  names(): string[] {
    return [...this.clients.keys()].sort();
  }

  /** Throws CONNECTOR_NOT_FOUND, SERVICE_UNAVAILABLE. */
  async describe(connector: string): Promise<DescribeResponse> {
    return this.client(connector).describe({}, { deadlineMs: DESCRIBE_DEADLINE_MS });
  }

  /** What keeps the source from being read; empty if nothing does. */
  async check(target: SourceTarget): Promise<readonly string[]> {
    const client = this.client(target.connector);
    const { problems } = await this.guarded(target, (signal) =>
      client.check({ settings: target.settings }, { signal }),
    );
    return problems;
  }

  /** The source's models. Throws SOURCE_CONTRACT_BROKEN for a catalogue beyond its bounds. */
  async discover(target: SourceTarget): Promise<CatalogueEntry[]> {
    const client = this.client(target.connector);
    const { models } = await this.guarded(target, (signal) =>
      client.discover({ settings: target.settings }, { signal }),
    );
    const catalogue = models.map(fromModelMessage);
    checkCatalogue(catalogue);
    return catalogue;
  }

  /** Reads a model. The breaker sees whether the stream begins, and whether an outage ends it. */
  async *read(target: SourceTarget, request: ReadRequest, signal: AbortSignal): AsyncGenerator<ReadResponse> {
    const stream = this.client(target.connector).read(request, { signal })[Symbol.asyncIterator]();
    try {
      let next = await this.guarded(target, () => stream.next(), signal);
      while (next.done !== true) {
        yield next.value;
        next = await stream.next().catch((error: unknown) => this.report(target, error, signal));
      }
    } finally {
      await stream.return?.();
    }
  }

  /** Where a connection's breaker stands. */
  breakerState(breaker: string): BreakerState {
    return this.breakers.list().find(({ name }) => name === breaker)?.state ?? 'closed';
  }

  close(): void {
    this.breakers.shutdown();
    for (const client of this.clients.values()) client.close();
  }

  private guarded<T>(
    target: SourceTarget,
    call: (signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.breakers.get(target.breaker).run(call, signal);
  }

  /** Lets the breaker count a failure in the middle of a stream. */
  private async report(target: SourceTarget, failure: unknown, signal: AbortSignal): Promise<never> {
    if (signal.aborted || !(isTidemarkError(failure) && isOutage(failure.reason))) throw failure;
    return this.guarded(target, () => Promise.reject(failure));
  }

  private client(connector: string): Client {
    const client = this.clients.get(connector);
    if (client !== undefined) return client;
    const message = `no connector named ${connector} is configured; there are: ${this.names().join(', ')}`;
    throw new TidemarkError('CONNECTOR_NOT_FOUND', message);
  }
}

function checkCatalogue(catalogue: readonly CatalogueEntry[]): void {
  const names = new Set(catalogue.map(({ name }) => name));
  const bytes = catalogue.reduce((sum, { jsonSchema }) => sum + jsonSchema.byteLength, 0);
  const fault =
    catalogue.length > MAX_MODELS
      ? `has more than ${MAX_MODELS} models`
      : bytes > MAX_CATALOGUE_BYTES
        ? `has schemas of more than ${MAX_CATALOGUE_BYTES} bytes`
        : names.size < catalogue.length
          ? 'names a model twice'
          : catalogue.some(({ name, primaryKey }) => !isModelName(name) || primaryKey.length === 0)
            ? 'has a model without a proper name or without a primary key'
            : undefined;
  if (fault !== undefined)
    throw new TidemarkError('SOURCE_CONTRACT_BROKEN', `the catalogue of the source ${fault}`);
}
