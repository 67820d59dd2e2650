import type { StreamRecordsRequest } from '@tidemark/contracts';
import { untilInterrupted, type Cli } from './cli.js';
import { ExitCode } from './exit-code.js';
import { writeJson } from './json.js';
import { parseConditions } from './record-filter.js';
import { recordJson } from './record-json.js';
import { RecordTable } from './record-text.js';
import { formatCount, formatTime, parseMoment } from './time.js';

/** What `records list` takes. */
export interface ListOptions {
  readonly updatedAfter?: string;
  readonly cursor?: string;
  readonly deleted: boolean;
  readonly fields?: string[];
  readonly where?: string[];
  readonly limit?: number;
  readonly asOf?: string;
}

/** Where a list ended. */
interface Position {
  count: number;
  cursor: string | undefined;
  completeThrough: Date | undefined;
}

/** Prints records page by page, as fast as they are read and not faster. */
export async function listRecords(
  cli: Cli,
  connectionId: string,
  model: string,
  options: ListOptions,
): Promise<void> {
  const request = toRequest(connectionId, model, options, new Date());
  const position: Position = { count: 0, cursor: options.cursor, completeThrough: undefined };
  const done = await untilInterrupted(cli, async () => {
    await streamRecords(cli, request, position);
    return true;
  });
  if (done === undefined) {
    cli.exitCode = ExitCode.INTERRUPTED;
  }
}

async function streamRecords(
  cli: Cli,
  request: ReturnType<typeof toRequest>,
  position: Position,
): Promise<void> {
  const { records } = await cli.connect();
  const table = new RecordTable(cli.out.width);
  for await (const page of records.streamRecords(request, { signal: cli.signal })) {
    position.count += page.records.length;
    position.cursor = page.cursor === '' ? position.cursor : page.cursor;
    position.completeThrough = page.completeThrough ?? position.completeThrough;
    if (cli.json) {
      await cli.out.json(page.records.map((record) => writeJson(recordJson(record))));
    } else {
      await cli.out.lines(table.page(page.records));
    }
  }
  const { completeThrough, cursor, count } = position;
  const { asOf } = request;
  if (cli.json) {
    await cli.out.json([writeJson({ completeThrough: completeThrough ?? null, cursor: cursor ?? null })]);
    return;
  }
  const hidden =
    table.hiddenFields === 0
      ? ''
      : ` ${String(table.hiddenFields)} more fields do not fit: --json shows all.`;
  await cli.notes.lines([
    `${formatCount(count)} ${count === 1 ? 'record' : 'records'}${asOf === undefined ? `; complete through ${formatTime(completeThrough)}` : ` as of ${formatTime(asOf)}`}.${hidden}`,
    ...(cursor === undefined ? [] : [`Later changes: --cursor ${cursor}`]),
  ]);
}

function toRequest(connectionId: string, model: string, options: ListOptions, now: Date) {
  return {
    connectionId,
    models: [model],
    ...startOf(options, now),
    excludeDeleted: !options.deleted,
    fields: options.fields ?? [],
    filter: parseConditions(options.where ?? []),
    limit: BigInt(options.limit ?? 0),
    ...(options.asOf === undefined ? {} : { asOf: parseMoment(options.asOf, '--as-of', now) }),
  };
}

function startOf(
  { updatedAfter, cursor }: ListOptions,
  now: Date,
): { start?: NonNullable<StreamRecordsRequest['start']> } {
  if (updatedAfter !== undefined) {
    return { start: { $case: 'updatedAfter', value: parseMoment(updatedAfter, '--updated-after', now) } };
  }
  return cursor === undefined ? {} : { start: { $case: 'cursor', value: cursor } };
}
