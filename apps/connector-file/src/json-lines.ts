import { isUtf8 } from 'node:buffer';
import { parseJson } from '@tidemark/model';
import type { ByteInput } from './byte-input.js';
import {
  FILE_START,
  Row,
  type RowContent,
  type RowFile,
  type RowPlace,
  type RowSettings,
  type RowSource,
} from './row.js';
import {
  cutShort,
  ENCODING_FAULT,
  faultOf,
  intactKey,
  TOO_LONG_FAULT,
  TRUNCATED_FAULT,
} from './row-faults.js';
import type { ModelSettings } from './settings.js';
import { demandFewValues } from './value-count.js';
import { MAX_LINE_BYTES, WholeLines } from './whole-lines.js';

const NEWLINE = 0x0a;
const SPACE = 0x20;

/** How lines are read. */
export type LineSettings = RowSettings & Pick<ModelSettings, 'finalNewline'>;

/** Reads JSON Lines: a JSON object on each line. Blank lines are passed over. */
export class JsonLines implements RowSource {
  readonly failures: string[] = [];
  private readonly lines = new WholeLines();
  private place: RowPlace = FILE_START;

  constructor(
    private readonly input: ByteInput,
    private readonly file: RowFile,
    private readonly settings: LineSettings,
  ) {}

  async *rows(from: RowPlace): AsyncGenerator<Row[]> {
    this.place = from;
    for await (const chunk of this.input.chunks(from.offset, this.settings.signal)) {
      const lines = this.lines.push(chunk);
      if (lines !== undefined) yield this.rowsOf(lines);
    }
    if (this.input.isEmpty && !this.settings.mayBeEmpty) {
      const { name } = this.input.file;
      this.failures.push(
        `${name} is empty, as a file is whose writing has only begun (with a countFile that says 0 it counts as complete)`,
      );
    }
    const rest = this.lines.rest();
    if (rest.length > 0 || this.lines.droppedBytes > 0) yield this.lastRow(rest);
  }

  private rowsOf(lines: Buffer): Row[] {
    const rows: Row[] = [];
    const isValid = isUtf8(lines);
    for (let start = 0; start < lines.length;) {
      const end = lines.indexOf(NEWLINE, start);
      const length = end + 1 - start + this.lines.takeDropped();
      const content =
        length > MAX_LINE_BYTES ? { fault: TOO_LONG_FAULT } : this.content(lines, start, end, isValid);
      const row = this.advance(length, content);
      if (row !== undefined) rows.push(row);
      start = end + 1;
    }
    return rows;
  }

  /** What stands after the last line end. */
  private lastRow(rest: Buffer): Row[] {
    const dropped = this.lines.takeDropped();
    const whole = this.settings.finalNewline === 'optional' && dropped === 0;
    const content = this.content(rest, 0, rest.length, isUtf8(rest));
    if (!whole && content !== undefined) this.failures.push(cutShort(this.input.file.name));
    const row = this.advance(
      rest.length + dropped,
      whole || content === undefined ? content : { fault: TRUNCATED_FAULT },
    );
    return row === undefined ? [] : [row];
  }

  private advance(bytes: number, content: RowContent | undefined): Row | undefined {
    const { offset, line, rows } = this.place;
    this.place = { offset: offset + bytes, line: line + 1, rows: content === undefined ? rows : rows + 1 };
    return content === undefined ? undefined : new Row(this.file, content, line + 1, this.place);
  }

  /** What a line holds; undefined for a blank one. */
  private content(bytes: Buffer, start: number, end: number, isValid: boolean): RowContent | undefined {
    const text = bytes.toString('utf8', start, end);
    if ((bytes[start] ?? 0) <= SPACE && text.trim() === '') return undefined;
    try {
      demandFewValues([text]);
      const value = parseJson(text);
      if (isValid || isUtf8(bytes.subarray(start, end))) return { value };
      const key = intactKey(value, this.settings.primaryKey);
      return key === undefined ? { fault: ENCODING_FAULT } : { value: key, fault: ENCODING_FAULT };
    } catch (error) {
      return { fault: faultOf(error) };
    }
  }
}
