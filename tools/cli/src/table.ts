import { fit, printable, widthOf } from './printable.js';

/** One column of a table. */
export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  /** Numbers stand at the right. */
  readonly right?: boolean;
  /** Columns of the terminal at most. */
  readonly max?: number;
}

const GAP = '  ';
const WIDEST = 60;

/** Formats rows under a line of titles; every cell is printable, and cut where it is too wide. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  return tableFormatter(columns, rows).all(rows, true);
}

/** A table whose widths follow from its first rows, for streams. */
export interface TableFormatter<Row> {
  all(rows: readonly Row[], withTitles: boolean): string[];
}

/** Fixes the widths of a table by the rows given. */
export function tableFormatter<Row>(
  columns: readonly Column<Row>[],
  sample: readonly Row[],
): TableFormatter<Row> {
  const cell = (column: Column<Row>, row: Row) => printable(column.value(row));
  const widths = columns.map((column) => {
    const widest = sample.map((row) => widthOf(cell(column, row)));
    return Math.min(column.max ?? WIDEST, Math.max(widthOf(column.title), ...widest));
  });
  const line = (texts: readonly string[]) =>
    texts
      .map((text, i) => pad(fit(text, widths[i] ?? 0), widths[i] ?? 0, columns[i]?.right === true))
      .join(GAP)
      .trimEnd();
  return {
    all: (rows, withTitles) => [
      ...(withTitles ? [line(columns.map((column) => column.title))] : []),
      ...rows.map((row) => line(columns.map((column) => cell(column, row)))),
    ],
  };
}

/** Formats name and value pairs, one a line, values aligned. */
export function formatFields(fields: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...fields.map(([name]) => widthOf(name)));
  return fields.map(([name, value]) => `${pad(name, width, false)}${GAP}${printable(value)}`.trimEnd());
}

function pad(text: string, width: number, right: boolean): string {
  const space = ' '.repeat(Math.max(0, width - widthOf(text)));
  return right ? space + text : text + space;
}
