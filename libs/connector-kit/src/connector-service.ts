import {
  ConnectorServiceDefinition,
  SyncKind,
  type CheckRequest,
  type CheckResponse,
  type DescribeResponse,
  type DiscoverRequest,
  type DiscoverResponse,
  type InterpretWebhookResponse,
  type Model,
  type ReadRequest,
  type ReadResponse,
} from '@tidemark/contracts';
import { compileScope, fingerprintKey, TidemarkError } from '@tidemark/model';
import { bind, fastDefinition, type CallContext, type ServiceBinding } from '@tidemark/rpc';
import { Checkpoints } from './checkpoint.js';
import type { Connector, DiscoveredModel } from './connector.js';
import { validateReadRequest } from './read-request.js';
import { readStream } from './read-stream.js';
import { jsonSchemaOf, parseSettings } from './settings.js';
import { sortSourceError } from './source-error.js';

type Context = Pick<CallContext, 'signal'>;

/** The service of a connector, for `startServer`. */
export function serveConnector<Config, Credentials>(
  connector: Connector<Config, Credentials>,
): ServiceBinding {
  return bind(fastDefinition(ConnectorServiceDefinition), new ConnectorHandlers(connector));
}

/** Speaks the connector protocol for a connector. */
export class ConnectorHandlers<Config, Credentials> {
  constructor(private readonly connector: Connector<Config, Credentials>) {}

  async describe(): Promise<DescribeResponse> {
    const { name, description, version, config, credentials } = this.connector;
    return {
      name,
      description,
      version,
      configSchema: json(jsonSchemaOf(config)),
      credentialsSchema: json(jsonSchemaOf(credentials)),
    };
  }

  async check(request: CheckRequest, context: Context): Promise<CheckResponse> {
    const source = parseSettings(this.connector, request.settings, context.signal);
    return { problems: [...(await sorted(this.connector.check(source)))] };
  }

  async discover(request: DiscoverRequest, context: Context): Promise<DiscoverResponse> {
    const source = parseSettings(this.connector, request.settings, context.signal);
    const models = await sorted(this.connector.discover(source));
    return { models: models.map(toModel) };
  }

  async *read(request: ReadRequest, context: Context): AsyncGenerator<ReadResponse> {
    validateReadRequest(request);
    if (request.kind !== SyncKind.FULL) {
      throw new TidemarkError(
        'FEATURE_UNSUPPORTED',
        `connector ${this.connector.name} reads full snapshots only`,
      );
    }
    const key = fingerprintKey(request.fingerprintKey);
    const scope = compileScope(request.fields);
    const checkpoints = new Checkpoints(request, key);
    const { position, unidentified } = checkpoints.decode(request.checkpoint);
    const source = parseSettings(this.connector, request.settings, context.signal);
    const { model, pageRecords, pageBytes } = request;
    try {
      const reading = await this.connector.read(source, { model, scope, checkpoint: position });
      const { primaryKey } = reading;
      const options = {
        primaryKey,
        scope,
        fingerprintKey: key,
        pageRecords,
        pageBytes,
        checkpoints,
        unidentified,
      };
      yield* readStream(reading, options);
    } catch (error) {
      throw sortSourceError(error);
    }
  }

  async interpretWebhook(): Promise<InterpretWebhookResponse> {
    throw new TidemarkError('FEATURE_UNSUPPORTED', `connector ${this.connector.name} takes no webhooks`);
  }
}

async function sorted<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    throw sortSourceError(error);
  }
}

function toModel(model: DiscoveredModel): Model {
  return {
    name: model.name,
    jsonSchema: json(model.jsonSchema),
    primaryKey: [...model.primaryKey],
    capabilities: { full: true, delta: false, webhook: false, deltaDeletes: false },
    sensitiveFields: [...model.sensitiveFields],
    indexFields: [...model.indexFields],
    dependsOn: [...model.dependsOn],
    warnings: [...model.warnings],
  };
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}
