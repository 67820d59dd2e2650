import {
  ConnectionState,
  type Budget,
  type Connection,
  type Model,
  type ModelSchedule,
  type Schedule,
} from '@tidemark/contracts';
import { enumName } from './json.js';
import { formatFields, formatTable } from './table.js';
import { formatCount, formatSeconds, formatTime } from './time.js';

/** The last column may run on. */
const LONGEST_REASON = 500;

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
      { title: 'REASON', value: (row) => row.stateReason, max: LONGEST_REASON },
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
      ['Schedule', scheduleText(connection.schedule)],
      ['Budget', budgetText(connection.budget)],
      ['Created', formatTime(connection.createTime)],
      ['Updated', formatTime(connection.updateTime)],
    ]),
    '',
    ...modelTable(connection.catalogue, connection.scope?.models.map(({ model }) => model) ?? []),
  ];
}

/** What a connection sets over the default schedule: `full every 3 h; jobs: delta never`. */
function scheduleText(schedule: Schedule | undefined): string {
  const models = [...(schedule?.models ?? [])];
  const parts = [
    intervalsText(schedule),
    ...models.map(([model, intervals]) => `${model}: ${intervalsText(intervals)}`),
  ];
  return parts.filter(Boolean).join('; ') || 'default';
}

function budgetText(budget: Budget | undefined): string {
  if (budget === undefined) return 'none';
  const { requestsPerMinute, burst } = budget;
  return `${formatCount(requestsPerMinute)} requests a minute, ${formatCount(burst)} at once`;
}

function intervalsText(intervals: Pick<ModelSchedule, 'fullInterval' | 'deltaInterval'> | undefined): string {
  const given = [
    ['full', intervals?.fullInterval],
    ['delta', intervals?.deltaInterval],
  ] as const;
  return given
    .flatMap(([kind, interval]) => {
      const seconds = Number(interval?.seconds ?? 0n) + (interval?.nanos ?? 0) / 1e9;
      return interval === undefined
        ? []
        : [`${kind} ${seconds === 0 ? 'never' : `every ${formatSeconds(seconds)}`}`];
    })
    .join(', ');
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
