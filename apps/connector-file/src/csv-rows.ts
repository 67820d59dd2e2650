import { RejectedRecordError } from '@tidemark/model';
import type { ByteInput } from './byte-input.js';
import { CsvColumns } from './csv-columns.js';
import { readCsvHeader, type CsvHeader } from './csv-header.js';
import { CsvParser, type CsvListener, type CsvRow } from './csv-parser.js';
import { InvalidLines } from './invalid-lines.js';
import {
  FILE_START,
  Row,
  type RowContent,
  type RowFile,
  type RowPlace,
  type RowSettings,
  type RowSource,
} from './row.js';
import { cutShort, ENCODING_FAULT, intactKey, TOO_LONG_FAULT, TRUNCATED_FAULT } from './row-faults.js';
import type { ModelSettings } from './settings.js';
import { MAX_LINE_BYTES, WholeLines } from './whole-lines.js';

const QUOTING_FAULT = new RejectedRecordError(
  'MALFORMED',
  'a quote stands where none may; what follows is lost up to the end of the row that the quotes make',
);
const UNCLOSED_FAULT = new RejectedRecordError(
  'TRUNCATED',
  'a quote is not closed; all that follows is lost',
);
const NEWLINE = 0x0a;

/** How CSV rows are read. */
export type CsvSettings = RowSettings &
  Pick<ModelSettings, 'columns' | 'delimiter' | 'quote' | 'finalNewline'>;

/** Reads CSV with a header row. Empty lines are passed over. */
export class CsvRows implements RowSource, CsvListener {
  readonly failures: string[] = [];
  private batch: Row[] = [];
  private place: RowPlace = FILE_START;
  private columns: CsvColumns | undefined;
  private headerPassed = false;
  private isBroken = false;
  private readonly invalid = new InvalidLines();
  /** What turns the parser's offsets and lines into the file's. */
  private shift = { bytes: 0, lines: 0 };
  /** Set once all bytes are known: the end of a last row that has no line end. */
  private openEnd: number | undefined;

  constructor(
    private readonly input: ByteInput,
    private readonly file: RowFile,
    private readonly settings: CsvSettings,
  ) {}

  async *rows(from: RowPlace): AsyncGenerator<Row[]> {
    const { settings, input } = this;
    const header = await readCsvHeader(input, settings, settings.signal);
    this.begin(header, from);
    const parser = new CsvParser(settings, this);
    // The parser begins with the header wherever reading goes on, so that it always is in the same state.
    await parser.write(header.bytes);
    const lines = new WholeLines();
    let fed = this.place.offset;
    for await (const chunk of input.chunks(fed, settings.signal)) {
      const whole = lines.push(chunk);
      if (whole !== undefined) {
        this.invalid.note(whole, fed);
        fed += whole.length;
        await parser.write(whole);
        yield this.takeBatch();
      }
      if (fed - this.place.offset > MAX_LINE_BYTES || lines.droppedBytes > 0) {
        yield this.giveUp();
        return;
      }
    }
    yield await this.finish(parser, lines.rest(), fed);
  }

  row({ cells, end, firstLine, lastLine }: CsvRow): void {
    if (this.isBroken) this.pushLost(QUOTING_FAULT);
    this.isBroken = false;
    if (this.headerPassed)
      this.pushRow(cells, end + this.shift.bytes, firstLine + this.shift.lines, lastLine + this.shift.lines);
    this.headerPassed = true;
  }

  broken(): void {
    this.isBroken = true;
  }

  unclosed(): void {
    this.isBroken = false;
    this.failures.push(`${this.input.file.name} ends within quotes: a quote is not closed`);
    this.pushLost(UNCLOSED_FAULT);
  }

  private begin(header: CsvHeader, from: RowPlace): void {
    const { settings, input } = this;
    this.columns = new CsvColumns(input.file.name, header.names, settings);
    const isOpen = header.bytes[header.bytes.length - 1] !== NEWLINE;
    if (isOpen && settings.finalNewline === 'required') this.failures.push(cutShort(input.file.name));
    this.place = from.offset > 0 ? from : { offset: header.bytes.length, line: header.lines, rows: 0 };
    this.shift = { bytes: this.place.offset - header.bytes.length, lines: this.place.line - header.lines };
  }

  /** The rows that only the end of the file completes. */
  private async finish(parser: CsvParser, rest: Buffer, fed: number): Promise<Row[]> {
    if (rest.length > 0) {
      this.invalid.note(rest, fed);
      if (this.settings.finalNewline === 'required') this.openEnd = fed + rest.length;
      await parser.write(rest);
    }
    await parser.end();
    if (this.isBroken) this.pushLost(QUOTING_FAULT);
    return this.takeBatch();
  }

  private giveUp(): Row[] {
    const { name } = this.input.file;
    this.failures.push(
      `reading ${name} stopped at line ${this.place.line + 1}: the row is too long, or a quote in it is not closed`,
    );
    this.pushLost(TOO_LONG_FAULT);
    return this.takeBatch();
  }

  private pushRow(cells: readonly string[], end: number, firstLine: number, lastLine: number): void {
    const content = this.content(cells, end);
    if (content.fault === TRUNCATED_FAULT) {
      this.failures.push(cutShort(this.input.file.name));
      return this.pushLost(TRUNCATED_FAULT);
    }
    this.place = { offset: end, line: lastLine, rows: this.place.rows + 1 };
    this.batch.push(new Row(this.file, content, firstLine, this.place));
  }

  /** A row whose extent is not known: who resumes after it meets it again, so that its failure is not forgotten. */
  private pushLost(fault: RejectedRecordError): void {
    this.batch.push(new Row(this.file, { fault }, this.place.line + 1, this.place));
    this.place = { ...this.place, rows: this.place.rows + 1 };
  }

  private content(cells: readonly string[], end: number): RowContent {
    if (end === this.openEnd) return { fault: TRUNCATED_FAULT };
    const content = this.columns?.content(cells) ?? {};
    if (!this.invalid.touches(this.place.offset, end)) return content;
    const key = content.value === undefined ? undefined : intactKey(content.value, this.settings.primaryKey);
    return key === undefined ? { fault: ENCODING_FAULT } : { value: key, fault: ENCODING_FAULT };
  }

  private takeBatch(): Row[] {
    const { batch } = this;
    this.batch = [];
    return batch;
  }
}
