import type { SourceEntry } from '@tidemark/connector-kit';
import type { JsonValue, RejectedRecordError } from '@tidemark/model';

/** Where the reading of a file stands, between two rows. */
export interface RowPlace {
  /** Bytes passed. */
  readonly offset: number;
  /** Lines passed. */
  readonly line: number;
  /** Rows passed, faulty ones included. */
  readonly rows: number;
}

/** Where a file begins. */
export const FILE_START: RowPlace = { offset: 0, line: 0, rows: 0 };

/** What rows of one file share. */
export interface RowFile {
  /** The position of a row for a person, from its line (or, in a JSON array, its index). */
  position(line: number): string;
  /** The checkpoint after a row. */
  checkpoint(next: RowPlace): JsonValue;
}

/** What a row holds: a record, or why it holds none. */
export interface RowContent {
  readonly value?: JsonValue;
  readonly fault?: RejectedRecordError;
}

/** One row of a file. */
export class Row implements SourceEntry {
  readonly value?: JsonValue;
  readonly fault?: RejectedRecordError;

  constructor(
    private readonly file: RowFile,
    content: RowContent,
    private readonly line: number,
    readonly next: RowPlace,
  ) {
    if (content.value !== undefined) this.value = content.value;
    if (content.fault !== undefined) this.fault = content.fault;
  }

  position(): string {
    return this.file.position(this.line);
  }

  checkpoint(): JsonValue {
    return this.file.checkpoint(this.next);
  }
}

/** The rows of one file, as one format has them. */
export interface RowSource {
  /** All rows from a place on, as many at a time as one chunk of bytes gave. */
  rows(from: RowPlace): AsyncGenerator<Row[]>;
  /** Why there are not all of them, once `rows` has ended. */
  readonly failures: readonly string[];
}

/** What a row source reads and how. */
export interface RowSettings {
  readonly primaryKey: readonly string[];
  /** Top-level fields that are wanted, the primary key included; undefined: all. */
  readonly fields: readonly string[] | undefined;
  /** Whether something else proves that a file without a single byte is complete. */
  readonly mayBeEmpty: boolean;
  readonly signal: AbortSignal;
}
