import {
  ConnectionState,
  type Connection,
  type ConnectionStatus,
  type DescribeConnectorResponse,
  type Model,
  type ModelSchedule,
  type Schedule,
} from '@tidemark/contracts';
import { enumName, rawJson, type Writable } from './json.js';
import { scopeJson } from './scope-json.js';

type Duration = NonNullable<Schedule['fullInterval']>;

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
    models: status.models.map((model) => ({ ...model })),
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

/** Proto3 JSON writes a duration as seconds with an `s`. */
function durationJson({ seconds, nanos }: Duration): string {
  const fraction = nanos === 0 ? '' : `.${String(nanos).padStart(9, '0')}`.replace(/0+$/, '');
  return `${seconds.toString()}${fraction}s`;
}
