import {
  Cause,
  MarkerKind,
  Operation,
  type Change,
  type Record as StoredRecord,
  type RecordVersion,
  type WatchChangesResponse,
} from '@tidemark/contracts';
import { isJsonObject, parseJson, type JsonObject, type JsonValue } from '@tidemark/model';
import { enumName } from './json.js';
import { printable } from './printable.js';
import { formatFields, formatTable, tableFormatter, type Column } from './table.js';
import { formatTime } from './time.js';

const WIDEST_FIELD = 24;

/** A record with its content parsed, for people to look at. */
interface Shown {
  readonly record: StoredRecord;
  readonly data: JsonObject;
}

const FIXED: readonly Column<Shown>[] = [
  { title: 'ID', value: ({ record }) => record.id, max: 36 },
  { title: 'VERSION', right: true, value: ({ record }) => record.version.toString() },
  { title: 'CHANGED AT', value: ({ record }) => formatTime(record.changedAt) },
];

/** Prints pages of records as one table whose columns follow from the first page. */
export class RecordTable {
  private format: ((rows: readonly Shown[], withTitles: boolean) => string[]) | undefined;
  /** Fields that do not fit into the width. */
  hiddenFields = 0;

  constructor(private readonly width: number) {}

  /** Lines of one page. */
  page(records: readonly StoredRecord[]): string[] {
    const rows = records.map((record) => ({ record, data: parseData(record.data) }));
    if (rows.length === 0) {
      return [];
    }
    if (this.format !== undefined) {
      return this.format(rows, false);
    }
    const columns = this.chooseColumns(rows);
    this.format = (page, withTitles) => table.all(page, withTitles);
    const table = tableFormatter(columns, rows);
    return table.all(rows, true);
  }

  private chooseColumns(rows: readonly Shown[]): Column<Shown>[] {
    const names = [...new Set(rows.flatMap(({ data }) => Object.keys(data)))];
    const columns = [...FIXED];
    for (const name of names) {
      const column: Column<Shown> = {
        title: printable(name),
        value: ({ record, data }) => (record.deletedAt === undefined ? valueText(data[name]) : 'deleted'),
        max: WIDEST_FIELD,
      };
      if (formatTable([...columns, column], rows).some((line) => line.length > this.width)) {
        break;
      }
      columns.push(column);
    }
    this.hiddenFields = names.length - (columns.length - FIXED.length);
    return columns;
  }
}

/** One record with all of its fields. */
export function recordFields(record: StoredRecord): string[] {
  return formatFields([
    ['Connection', record.connectionId],
    ['Model', record.model],
    ['Id', record.id],
    ['Version', `${record.version.toString()} (sequence ${record.sequence.toString()})`],
    ['Changed at', formatTime(record.changedAt)],
    ...(record.deletedAt === undefined ? [] : [['Deleted at', formatTime(record.deletedAt)] as const]),
    ...Object.entries(parseData(record.data)).map(
      ([name, value]) => [`  ${printable(name)}`, valueText(value)] as const,
    ),
  ]);
}

/** A record's versions as a table. */
export function versionTable(versions: readonly RecordVersion[]): string[] {
  return formatTable(
    [
      { title: 'VERSION', right: true, value: ({ record }) => record?.version.toString() ?? '' },
      { title: 'CHANGED AT', value: ({ record }) => formatTime(record?.changedAt) },
      { title: 'OPERATION', value: ({ operation }) => enumName(Operation, operation) },
      { title: 'CAUSE', value: ({ cause }) => enumName(Cause, cause) },
      { title: 'CHANGED FIELDS', value: ({ changedFields }) => changedFields.join(', ') },
      { title: 'RUN', value: ({ runId }) => runId },
    ],
    versions,
  );
}

/** A batch of a watch as lines: its changes and, after them, how to go on. */
export function batchLines(batch: WatchChangesResponse): string[] {
  const lines = batch.changes.map(changeLine);
  if (batch.marker !== undefined) {
    const { kind, model, runId } = batch.marker;
    lines.push(
      ['--', enumName(MarkerKind, kind), batch.connectionId, model, runId].filter(Boolean).join(' '),
    );
  }
  return lines.map(printable);
}

function changeLine({ record, operation, cause, changedFields }: Change): string {
  if (record === undefined) {
    return '';
  }
  const what = enumName(Operation, operation).padEnd(8);
  const fields = changedFields.length === 0 ? '' : ` fields ${changedFields.join(', ')}`;
  const position = `version ${record.version.toString()} sequence ${record.sequence.toString()}`;
  return `${formatTime(record.changedAt)} ${what} ${record.model} ${record.id} ${position} by ${enumName(Cause, cause)}${fields}`;
}

function parseData(data: Uint8Array): JsonObject {
  const value = data.length === 0 ? {} : parseJson(Buffer.from(data).toString('utf8'));
  return isJsonObject(value) ? value : { value };
}

/** A field's value for people; numbers keep their digits. */
function valueText(value: JsonValue | undefined): string {
  if (value === undefined || value === null) {
    return '';
  }
  if (Array.isArray(value)) {
    return `[${value.map(nestedText).join(', ')}]`;
  }
  if (isJsonObject(value)) {
    return `{${Object.entries(value)
      .map(([name, member]) => `${name}: ${nestedText(member)}`)
      .join(', ')}}`;
  }
  return String(value);
}

function nestedText(value: JsonValue): string {
  return value === null ? 'null' : valueText(value);
}
