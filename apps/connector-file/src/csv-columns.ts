import {
  numberFromText,
  parseJson,
  RejectedRecordError,
  setKey,
  type JsonObject,
  type JsonValue,
} from '@tidemark/model';
import { contractFault } from './file-faults.js';
import type { RowContent, RowSettings } from './row.js';
import { faultOf } from './row-faults.js';
import type { ColumnType, ModelSettings } from './settings.js';
import { demandFewValues, TOO_MANY_FAULT } from './value-count.js';

interface Column {
  readonly index: number;
  readonly name: string;
  readonly type: ColumnType;
}

/** Which columns are read, and how. */
export type ColumnSettings = Pick<RowSettings, 'primaryKey' | 'fields'> & Pick<ModelSettings, 'columns'>;

/** Makes records of the rows of one CSV file. */
export class CsvColumns {
  private readonly wanted: readonly Column[];

  /**
   * Throws SOURCE_CONTRACT_BROKEN for a header with a name twice, or without a wanted or primary key column: a source
   * that drops a column must not look like one whose values all became empty. Says no name of the header itself, for
   * where a file has none, its first row stands there.
   */
  constructor(
    file: string,
    private readonly header: readonly string[],
    { primaryKey, fields, columns }: ColumnSettings,
  ) {
    const places = new Map<string, number>();
    for (const [twice, name] of header.entries()) {
      const first = places.get(name);
      places.set(name, twice);
      if (first === undefined) continue;
      throw contractFault(`${file} has the same name over its columns ${first + 1} and ${twice + 1}`);
    }
    const missing = [...new Set([...primaryKey, ...(fields ?? [])])].filter((name) => !places.has(name));
    if (missing.length > 0) {
      const names = missing.map((name) => JSON.stringify(name)).join(', ');
      throw contractFault(
        `${file} has no column ${names} in its header, which the scope or primary key names`,
      );
    }
    const typeOf = (name: string) => (Object.hasOwn(columns, name) ? columns[name] : undefined) ?? 'string';
    const wanted = fields === undefined ? undefined : new Set(fields);
    this.wanted = header
      .map((name, index) => ({ index, name, type: typeOf(name) }))
      .filter(({ name }) => wanted?.has(name) ?? true);
  }

  /** The record of a row; MALFORMED, without an id that could be trusted, if it has too few or too many cells. */
  content(cells: readonly string[]): RowContent {
    if (cells.length !== this.header.length) {
      const message = `${cells.length} cells in a row under a header of ${this.header.length}`;
      return { fault: new RejectedRecordError('MALFORMED', message) };
    }
    const value: JsonObject = {};
    let fault = this.excess(cells);
    for (const { index, name, type } of this.wanted) {
      const cell = cells[index] ?? '';
      if (fault === TOO_MANY_FAULT && type === 'json') continue;
      const read = type === 'string' ? cell : readCell(cell, type);
      if (read === undefined) fault ??= mismatch(name, type);
      else setKey(value, name, read);
    }
    return fault === undefined ? { value } : { value, fault };
  }

  private excess(cells: readonly string[]): RejectedRecordError | undefined {
    try {
      demandFewValues(
        this.wanted.flatMap(({ index, type }) => (type === 'json' ? (cells[index] ?? '') : [])),
      );
      return undefined;
    } catch (error) {
      return faultOf(error);
    }
  }
}

/** A cell's value; undefined if it does not have the type. */
function readCell(cell: string, type: Exclude<ColumnType, 'string'>): JsonValue | undefined {
  if (cell === '') return null;
  switch (type) {
    case 'number':
      return numberFromText(cell);
    case 'integer':
      return /^-?\d+$/.test(cell) ? numberFromText(cell) : undefined;
    case 'boolean':
      return /^(?:true|1)$/i.test(cell) ? true : /^(?:false|0)$/i.test(cell) ? false : undefined;
    case 'json':
      return readJson(cell);
  }
}

function readJson(cell: string): JsonValue | undefined {
  try {
    return parseJson(cell);
  } catch (error) {
    faultOf(error);
    return undefined;
  }
}

function mismatch(name: string, type: ColumnType): RejectedRecordError {
  const noun = type === 'json' ? 'well-formed JSON' : type === 'integer' ? 'an integer' : `a ${type}`;
  return new RejectedRecordError('TYPE_MISMATCH', `column ${JSON.stringify(name)} is not ${noun}`);
}
