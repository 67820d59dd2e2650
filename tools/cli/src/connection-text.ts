import { ConnectionState, type Connection, type Model } from '@tidemark/contracts';
import { enumName } from './json.js';
import { formatFields, formatTable } from './table.js';
import { formatTime } from './time.js';

/** Connections as a table, one a line. */
export function connectionTable(connections: readonly Connection[]): string[] {
  if (connections.length === 0) {
    return ['No connections yet. Create one with: tidemark connections create -f FILE'];
  }
  return formatTable(
    [
      { title: 'CONNECTION', value: (row) => row.id },
      { title: 'CONNECTOR', value: (row) => row.connector },
      { title: 'STATE', value: (row) => enumName(ConnectionState, row.state) },
      { title: 'MODELS', value: (row) => (row.scope?.models ?? []).map(({ model }) => model).join(', ') },
      { title: 'CREATED AT', value: (row) => formatTime(row.createTime) },
      { title: 'REASON', value: (row) => row.stateReason },
    ],
    connections,
  );
}

/** One connection with all that is known of it. */
export function connectionFields(connection: Connection): string[] {
  return [
    ...formatFields([
      ['Connection', connection.id],
      ['Connector', connection.connector],
      [
        'State',
        [enumName(ConnectionState, connection.state), connection.stateReason].filter(Boolean).join(': '),
      ],
      ['Config', Buffer.from(connection.config).toString('utf8')],
      ['Credentials', connection.hasCredentials ? 'stored, sealed' : 'none'],
      ['Created', formatTime(connection.createTime)],
      ['Updated', formatTime(connection.updateTime)],
    ]),
    '',
    ...modelTable(connection.catalogue, connection.scope?.models.map(({ model }) => model) ?? []),
  ];
}

/** The models of a catalogue as a table, and whether they are in scope. */
export function modelTable(models: readonly Model[], inScope?: readonly string[]): string[] {
  if (models.length === 0) {
    return ['No models found.'];
  }
  const table = formatTable(
    [
      { title: 'MODEL', value: (row: Model) => row.name },
      ...(inScope === undefined
        ? []
        : [{ title: 'IN SCOPE', value: (row: Model) => (inScope.includes(row.name) ? 'yes' : 'no') }]),
      { title: 'PRIMARY KEY', value: (row: Model) => row.primaryKey.join(', ') },
      { title: 'SYNCS', value: capabilities },
      { title: 'SENSITIVE FIELDS', value: (row: Model) => row.sensitiveFields.join(', ') },
    ],
    models,
  );
  return [...table, ...models.flatMap(warnings)];
}

function capabilities({ capabilities: can }: Model): string {
  return [
    can?.full === true ? 'full' : '',
    can?.delta === true ? 'delta' : '',
    can?.webhook === true ? 'webhook' : '',
  ]
    .filter(Boolean)
    .join(', ');
}

function warnings(model: Model): string[] {
  return model.warnings.flatMap((warning) => formatFields([[`${model.name}:`, warning]]));
}
