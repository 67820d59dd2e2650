import { TextDecoder } from 'node:util';
import { parsePath, RejectedRecordError } from '@tidemark/model';
import type { ByteInput } from './byte-input.js';
import { contractFault } from './file-faults.js';
import { JsonAssembler } from './json-assembler.js';
import { JsonParser, type JsonToken } from './json-parser.js';
import { RecordLocator } from './record-locator.js';
import {
  FILE_START,
  Row,
  type RowContent,
  type RowFile,
  type RowPlace,
  type RowSettings,
  type RowSource,
} from './row.js';
import { ENCODING_FAULT } from './row-faults.js';

const MALFORMED_FAULT = new RejectedRecordError(
  'MALFORMED',
  'not well-formed JSON; all that follows is lost',
);
const CUT_SHORT_FAULT = new RejectedRecordError('TRUNCATED', 'the file ends before its JSON is closed');

/** Reads an array of records in a JSON document. It is read from its beginning even to resume; positions are indexes. */
export class JsonArray implements RowSource {
  readonly failures: string[] = [];
  private batch: Row[] = [];
  private index = 0;
  private skip = 0;
  private state: 'before' | 'within' | 'after' = 'before';
  private wrong: Error | undefined;
  private readonly locator: RecordLocator;
  private readonly assembler = new JsonAssembler();

  constructor(
    private readonly input: ByteInput,
    private readonly file: RowFile,
    private readonly settings: RowSettings & { readonly recordsAt?: string | undefined },
  ) {
    this.locator = new RecordLocator(settings.recordsAt === undefined ? [] : parsePath(settings.recordsAt));
  }

  async *rows(from: RowPlace): AsyncGenerator<Row[]> {
    this.skip = from.rows;
    const { name } = this.input.file;
    const parser = new JsonParser((token) => this.accept(token));
    const text = new TextDecoder('utf-8', { fatal: true });
    for await (const chunk of this.input.chunks(FILE_START.offset, this.settings.signal)) {
      const fault = !isValidNext(text, chunk)
        ? ENCODING_FAULT
        : (await parser.write(chunk))
          ? undefined
          : MALFORMED_FAULT;
      this.demandArray();
      if (fault !== undefined) {
        this.failures.push(`reading ${name} stopped at record ${this.index}: ${fault.message}`);
        this.pushLost(fault);
      }
      yield this.takeBatch();
      if (fault !== undefined) return;
    }
    const isComplete = await parser.end();
    this.demandArray();
    if (isComplete && this.state === 'before') throw this.noArray();
    if (!isComplete) {
      this.failures.push(`${name} is cut short: ${CUT_SHORT_FAULT.message}`);
      this.pushLost(CUT_SHORT_FAULT);
    }
    yield this.takeBatch();
  }

  private accept(token: JsonToken): void {
    if (this.wrong !== undefined) return;
    if (this.state === 'within') {
      if (token.name === 'endArray' && !this.assembler.isOpen) this.state = 'after';
      else this.push(this.assembler.accept(token));
      return;
    }
    const role = this.locator.accept(token);
    if (role === 'wrong') this.wrong = this.noArray();
    if (role === 'begin' && this.state === 'after')
      this.wrong = contractFault(`${this.input.file.name} has two arrays of records`);
    if (role === 'begin') this.state = 'within';
  }

  private push(content: RowContent | undefined): void {
    if (content === undefined) return;
    const line = this.index++;
    if (line < this.skip) return;
    this.batch.push(new Row(this.file, content, line, { offset: 0, line: 0, rows: this.index }));
  }

  /** What is no record and has no known end: who resumes after it meets it again. */
  private pushLost(fault: RejectedRecordError): void {
    this.batch.push(new Row(this.file, { fault }, this.index, { offset: 0, line: 0, rows: this.index }));
  }

  private takeBatch(): Row[] {
    const { batch } = this;
    this.batch = [];
    return batch;
  }

  private demandArray(): void {
    if (this.wrong !== undefined) throw this.wrong;
  }

  private noArray(): Error {
    const { recordsAt } = this.settings;
    return contractFault(
      recordsAt === undefined
        ? `${this.input.file.name} is no array of records: set recordsAt to the path of the array in it`
        : `${this.input.file.name} has no array at ${recordsAt}, where recordsAt says that the records are`,
    );
  }
}

function isValidNext(text: TextDecoder, chunk: Buffer): boolean {
  try {
    text.decode(chunk, { stream: true });
    return true;
  } catch {
    // A fatal decoder throws for nothing but invalid bytes.
    return false;
  }
}
