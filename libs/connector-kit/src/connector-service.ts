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
import { compileScope, fingerprintKey, TidemarkError, type ScopeNode } from '@tidemark/model';
import { bind, fastDefinition, type CallContext, type ServiceBinding } from '@tidemark/rpc';
import { Checkpoints, type ResumePoint } from './checkpoint.js';
import type { Connector, DiscoveredModel, Reading, Source } from './connector.js';
import { toMilliseconds, validateReadRequest } from './read-request.js';
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
    return { models: models.map((model) => toModel(model, this.connector)) };
  }

  async *read(request: ReadRequest, context: Context): AsyncGenerator<ReadResponse> {
    validateReadRequest(request);
    const key = fingerprintKey(request.fingerprintKey);
    const scope = compileScope(request.fields);
    const checkpoints = new Checkpoints(request, key);
    const resume = checkpoints.decode(request.checkpoint);
    const source = parseSettings(this.connector, request.settings, context.signal);
    const { pageRecords, pageBytes, maxRequests } = request;
    try {
      const reading = await this.begin(source, request, { scope, resume });
      const { primaryKey } = reading;
      const deltaCheckpoint = resume.isStart ? reading.deltaCheckpoint : resume.next;
      const { unidentified } = resume;
      const bounds = { primaryKey, scope, fingerprintKey: key, pageRecords, pageBytes, maxRequests };
      yield* readStream(reading, { ...bounds, checkpoints, unidentified, deltaCheckpoint });
    } catch (error) {
      throw sortSourceError(error);
    }
  }

  async interpretWebhook(): Promise<InterpretWebhookResponse> {
    throw new TidemarkError('FEATURE_UNSUPPORTED', `connector ${this.connector.name} takes no webhooks`);
  }

  private begin(
    source: Source<Config, Credentials>,
    { model, kind, overlap }: ReadRequest,
    { scope, resume }: { readonly scope: ScopeNode; readonly resume: ResumePoint },
  ): Promise<Reading> {
    const { connector } = this;
    const task = { model, scope, checkpoint: resume.position };
    if (kind === SyncKind.FULL) return connector.read(source, task);
    if (kind !== SyncKind.DELTA || connector.readChanges === undefined) {
      throw new TidemarkError('FEATURE_UNSUPPORTED', `connector ${connector.name} reads full snapshots only`);
    }
    const overlapMs = !resume.isStart ? 0 : overlap === undefined ? undefined : toMilliseconds(overlap);
    return connector.readChanges(source, { ...task, overlapMs });
  }
}

async function sorted<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    throw sortSourceError(error);
  }
}

function toModel(
  model: DiscoveredModel,
  { name, readChanges }: Pick<Connector, 'name' | 'readChanges'>,
): Model {
  const { delta = false, deltaDeletes = false } = model;
  if (delta && readChanges === undefined)
    throw new Error(`connector ${name} offers deltas that it cannot read`);
  return {
    name: model.name,
    jsonSchema: json(model.jsonSchema),
    primaryKey: [...model.primaryKey],
    capabilities: { full: true, delta, webhook: false, deltaDeletes },
    sensitiveFields: [...model.sensitiveFields],
    indexFields: [...model.indexFields],
    dependsOn: [...model.dependsOn],
    warnings: [...model.warnings],
  };
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}
