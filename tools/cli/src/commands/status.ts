import { ConnectionState, type ConnectionStatus, type ModelStatus } from '@tidemark/contracts';
import type { Register } from '../cli.js';
import { statusJson } from '../connection-json.js';
import { enumName } from '../json.js';
import { planLines } from '../plan-text.js';
import { printable } from '../printable.js';
import { formatTable } from '../table.js';
import { formatCount, formatTime } from '../time.js';

/** The last column may run on: its end says why a snapshot was not certified. */
const LONGEST_SUMMARY = 500;
/** The API tells of so many connections at once. */
const MOST = 1_000;

interface Row {
  readonly status: ConnectionStatus;
  readonly model: ModelStatus | undefined;
}

/** `tidemark status` */
export const status: Register = (program, cli) => {
  program
    .command('status')
    .argument('[connection]', 'the connection; all when left out')
    .description('tell how connections stand')
    .action(async (connectionId: string | undefined) => {
      const { connections } = await cli.connect();
      const request = { connectionId: connectionId ?? '' };
      const response = await connections.getStatus(request, { signal: cli.signal });
      await cli.print({ connections: response.connections.map(statusJson) }, () => [
        ...statusLines(response.connections),
        ...(connectionId === undefined ? [] : response.connections.flatMap(planLines)),
      ]);
      if (response.connections.length >= MOST && !cli.json) {
        await cli.notes.lines([
          `These are the first ${formatCount(MOST)}; see any other with: tidemark status CONNECTION`,
        ]);
      }
    });
};

/** Who is left alone for now, and until when. */
function breakerLines({
  connectionId,
  breaker,
  connectorBreaker,
  nextProbeTime,
}: ConnectionStatus): string[] {
  if (nextProbeTime === undefined) return [];
  const subjects = [
    ['the source', breaker],
    ['the connector', connectorBreaker],
  ].flatMap(([subject, state]) => (state === 'OPEN' || state === 'HALF_OPEN' ? [subject] : []));
  const what = subjects.length > 1 ? 'are down; they are' : 'is down; it is';
  return [
    printable(
      `${connectionId}: ${subjects.join(' and ')} ${what} tried again at ${formatTime(nextProbeTime)}`,
    ),
  ];
}

function statusLines(statuses: readonly ConnectionStatus[]): string[] {
  if (statuses.length === 0) {
    return ['Tidemark runs. No connections yet. Create one with: tidemark connections create -f FILE'];
  }
  const rows = statuses.flatMap((status): Row[] =>
    status.models.length === 0
      ? [{ status, model: undefined }]
      : status.models.map((model) => ({ status, model })),
  );
  const table = formatTable(
    [
      { title: 'CONNECTION', value: (row) => row.status.connectionId },
      { title: 'STATE', value: (row) => enumName(ConnectionState, row.status.state) },
      { title: 'BREAKER', value: (row) => row.status.breaker },
      { title: 'MODEL', value: (row) => row.model?.model ?? '-' },
      { title: 'RECORDS', right: true, value: (row) => formatCount(row.model?.recordCount ?? 0n) },
      { title: 'QUARANTINED', right: true, value: (row) => formatCount(row.model?.quarantinedCount ?? 0n) },
      { title: 'LAST FULL', value: (row) => formatTime(row.model?.lastFullTime) },
      { title: 'NEXT FULL', value: (row) => formatTime(row.model?.nextFullTime) },
      { title: 'NEXT DELTA', value: (row) => formatTime(row.model?.nextDeltaTime) },
      { title: 'LAST RUN', value: (row) => row.model?.lastRunSummary ?? '', max: LONGEST_SUMMARY },
    ],
    rows,
  );
  const reasons = statuses
    .filter(({ stateReason }) => stateReason !== '')
    .map(({ connectionId, stateReason }) => printable(`${connectionId}: ${stateReason}`));
  return [...table, ...reasons, ...statuses.flatMap(breakerLines)];
}
