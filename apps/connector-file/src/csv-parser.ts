import { CsvError, Parser } from 'csv-parse';
import type { ModelSettings } from './settings.js';

/** How a CSV file is written. */
export type CsvDialect = Pick<ModelSettings, 'delimiter' | 'quote'>;

/** One row as the parser has it. */
export interface CsvRow {
  readonly cells: readonly string[];
  /** Bytes of its parser's input up to the row's end, its line end included. */
  readonly end: number;
  /** Line of its parser's input on which it begins, counted from 1. */
  readonly firstLine: number;
  /** Line on which it ends. */
  readonly lastLine: number;
}

/** Called in the order of the rows. */
export interface CsvListener {
  row(row: CsvRow): void;
  /** A row that breaks the rules of quoting is being passed over. One faulty row may be told of several times. */
  broken(): void;
  /** The input ended within quotes. */
  unclosed(): void;
}

/** csv-parse, fed chunk by chunk: when `write` has resolved, the listener knows all rows that ended in the chunk. */
export class CsvParser {
  private readonly parser: Parser;
  private extraLines = 0;

  constructor(dialect: CsvDialect, listener: CsvListener) {
    this.parser = new Parser({
      bom: false,
      columns: false,
      delimiter: dialect.delimiter,
      quote: dialect.quote ?? false,
      escape: dialect.quote ?? null,
      record_delimiter: ['\n', '\r\n'],
      // Checked against the header by CsvColumns, row by row.
      relax_column_count: true,
      skip_empty_lines: true,
      skip_records_with_error: true,
      // Taken here rather than from the stream's other end, which would cost a turn of the event loop for each row.
      on_record: (cells: string[], { bytes, lines }) => {
        listener.row(this.locate(cells, bytes, lines));
        return null;
      },
      on_skip: (error) => {
        if (error instanceof CsvError && error.code === 'CSV_QUOTE_NOT_CLOSED') listener.unclosed();
        else listener.broken();
        return undefined;
      },
    });
    this.parser.resume();
    // Errors reach the callers of write and end; without a listener here they would also end the process.
    this.parser.on('error', () => undefined);
  }

  /** Parses a chunk. */
  async write(chunk: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.parser.write(chunk, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Parses what is left. */
  async end(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.parser.once('error', reject);
      this.parser.end(resolve);
    });
  }

  private locate(cells: readonly string[], end: number, lines: number): CsvRow {
    let inside = 0;
    let pairs = 0;
    for (const cell of cells) {
      if (!cell.includes('\n') && !cell.includes('\r')) continue;
      inside += cell.match(/[\r\n]/g)?.length ?? 0;
      pairs += cell.match(/\r\n/g)?.length ?? 0;
    }
    // The parser counts \r\n within quotes as two lines.
    const firstLine = lines - inside - this.extraLines;
    this.extraLines += pairs;
    return { cells, end, firstLine, lastLine: lines - this.extraLines };
  }
}
