import {
  ConnectionState,
  SyncKind,
  SyncRunState,
  type Connection,
  type ConnectionStatus,
  type DescribeConnectorResponse,
  type Model,
  type ModelSchedule,
} from '@tidemark/contracts';
import { durationJson, enumName, rawJson, type Writable } from './json.js';
import { scopeJson } from './scope-json.js';

/** A connection as `--json` shows it; credentials are never among it. */
export function connectionJson(connection: Connection): { readonly [name: string]: Writable } {
  return {
    ...connection,
    config: rawJson(connection.config),
    scope: connection.scope && scopeJson(connection.scope),
    schedule: connection.schedule && {
      ...intervalsJson(connection.schedule),
      models: Object.fromEntries(
        [...connection.schedule.models].map(([model, intervals]) => [model, intervalsJson(intervals)]),
      ),
    },
    guard: connection.guard && { ...connection.guard },
    budget: connection.budget && { ...connection.budget },
    state: enumName(ConnectionState, connection.state),
    catalogue: connection.catalogue.map(modelJson),
  };
}

/** A model of a catalogue as `--json` shows it. */
export function modelJson(model: Model): Writable {
  return {
    ...model,
    jsonSchema: rawJson(model.jsonSchema),
    capabilities: model.capabilities && { ...model.capabilities },
  };
}

/** A connector as `--json` shows it. */
export function connectorJson(connector: DescribeConnectorResponse): Writable {
  return {
    ...connector,
    configSchema: rawJson(connector.configSchema),
    credentialsSchema: rawJson(connector.credentialsSchema),
  };
}

/** How a connection stands, as `--json` shows it. */
export function statusJson(status: ConnectionStatus): Writable {
  return {
    ...status,
    state: enumName(ConnectionState, status.state),
    models: status.models.map((model) => ({
      ...model,
      deltaOverlap: model.deltaOverlap && durationJson(model.deltaOverlap),
      unfinishedRuns: model.unfinishedRuns.map((run) => ({
        ...run,
        kind: enumName(SyncKind, run.kind),
        state: enumName(SyncRunState, run.state),
      })),
    })),
  };
}

function intervalsJson({ fullInterval, deltaInterval }: ModelSchedule): {
  readonly [name: string]: Writable;
} {
  return {
    fullInterval: fullInterval && durationJson(fullInterval),
    deltaInterval: deltaInterval && durationJson(deltaInterval),
  };
}
