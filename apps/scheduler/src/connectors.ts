import {
  ConnectorServiceDefinition,
  type DescribeResponse,
  type ReadRequest,
  type ReadResponse,
  type SourceSettings,
} from '@tidemark/contracts';
import { isModelName, isTidemarkError, TidemarkError } from '@tidemark/model';
import { createClient, fastDefinition, type FastDefinition, type RpcClient } from '@tidemark/rpc';
import type { CatalogueEntry } from './connection.js';
import { fromModelMessage } from './connection-messages.js';
import { SourceBreakers } from './source-breakers.js';

type Client = RpcClient<FastDefinition<typeof ConnectorServiceDefinition>>;

const DESCRIBE_DEADLINE_MS = 5_000;
const CALL_DEADLINE_MS = 60_000;
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

/** The connectors that the operator configured, behind a circuit breaker for each of them and each connection. */
export class Connectors {
  private readonly clients: ReadonlyMap<string, Client>;
  constructor(
    addresses: ReadonlyMap<string, string>,
    internalToken: string,
    private readonly breakers: SourceBreakers = new SourceBreakers(),
  ) {
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

  /** Throws CONNECTOR_NOT_FOUND, SERVICE_UNAVAILABLE, CIRCUIT_OPEN. */
  async describe(connector: string): Promise<DescribeResponse> {
    const client = this.client(connector);
    return this.breakers.callConnector(connector, (signal) =>
      client.describe({}, { signal, deadlineMs: DESCRIBE_DEADLINE_MS }),
    );
  }

  /** What keeps the source from being read; empty if nothing does. */
  async check(target: SourceTarget): Promise<readonly string[]> {
    const client = this.client(target.connector);
    const { problems } = await this.breakers.run(target, (signal) =>
      client.check({ settings: target.settings }, { signal }),
    );
    return problems;
  }

  /** The source's models. Throws SOURCE_CONTRACT_BROKEN for a catalogue beyond its bounds. */
  async discover(target: SourceTarget): Promise<CatalogueEntry[]> {
    const client = this.client(target.connector);
    const { models } = await this.breakers.run(target, (signal) =>
      client.discover({ settings: target.settings }, { signal }),
    );
    const catalogue = models.map(fromModelMessage);
    checkCatalogue(catalogue);
    return catalogue;
  }

  /**
   * Reads a model. The breakers see whether the stream begins, and whether an outage ends it; a caller who takes the source's silence
   * for one aborts with SOURCE_UNAVAILABLE.
   */
  async *read(target: SourceTarget, request: ReadRequest, signal: AbortSignal): AsyncGenerator<ReadResponse> {
    const ending = new AbortController();
    const options = { signal: AbortSignal.any([signal, ending.signal]) };
    const stream = this.client(target.connector).read(request, options)[Symbol.asyncIterator]();
    const first = (timeout: AbortSignal): Promise<IteratorResult<ReadResponse>> => {
      timeout.addEventListener('abort', () => ending.abort(), { once: true });
      return stream.next();
    };
    try {
      let next = await this.breakers.run(target, first, signal);
      while (next.done !== true) {
        yield next.value;
        next = await stream.next().catch((error: unknown) => {
          if (!signal.aborted) this.breakers.report(target, error);
          throw error;
        });
      }
    } catch (error) {
      if (isTidemarkError(signal.reason, 'SOURCE_UNAVAILABLE')) this.breakers.report(target, signal.reason);
      throw error;
    } finally {
      // First the call, for the stream closes only once what was asked of it is settled.
      ending.abort();
      await stream.return?.();
    }
  }

  /** How the breakers of a connection and of its connector stand; undefined for one that no call has passed of late. */
  breakersOf(target: Pick<SourceTarget, 'breaker' | 'connector'>): ReturnType<SourceBreakers['peek']> {
    return this.breakers.peek(target);
  }

  close(): void {
    this.breakers.shutdown();
    for (const client of this.clients.values()) client.close();
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
