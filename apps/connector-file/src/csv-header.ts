import { isUtf8 } from 'node:buffer';
import type { ByteInput } from './byte-input.js';
import { CsvParser, type CsvDialect, type CsvRow } from './csv-parser.js';
import { contractFault } from './file-faults.js';

/** Longest header row, in bytes. */
const MAX_HEADER_BYTES = 1024 * 1024;
const STEP_BYTES = 4096;

/** The first row of a CSV file. */
export interface CsvHeader {
  readonly names: readonly string[];
  /** It as bytes, up to and with its line end. */
  readonly bytes: Buffer;
  /** Lines that it takes. */
  readonly lines: number;
}

/** Reads the header of a CSV file. Throws SOURCE_CONTRACT_BROKEN if there is none. */
export async function readCsvHeader(
  input: ByteInput,
  dialect: CsvDialect,
  signal: AbortSignal,
): Promise<CsvHeader> {
  const { name } = input.file;
  const fault = () => contractFault(`${name} begins with no well-formed CSV header`);
  let first: CsvRow | undefined;
  const parser = new CsvParser(dialect, {
    row: (row) => (first ??= row),
    broken: () => undefined,
    unclosed: () => undefined,
  });
  let bytes = Buffer.alloc(0);
  for await (const step of steps(input.chunks(0, signal))) {
    bytes = Buffer.concat([bytes, step]);
    await parser.write(step);
    if (first !== undefined) return headerOf(first, bytes, fault);
    if (bytes.length > MAX_HEADER_BYTES) throw fault();
  }
  await parser.end();
  if (first !== undefined) return headerOf(first, bytes, fault);
  if (bytes.length > 0) throw fault();
  throw contractFault(`${name} is empty: even without rows a CSV file begins with a header`);
}

function headerOf(row: CsvRow, bytes: Buffer, fault: () => Error): CsvHeader {
  const header = bytes.subarray(0, row.end);
  if (!isUtf8(header)) throw fault();
  return { names: row.cells, bytes: header, lines: row.lastLine };
}

async function* steps(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += STEP_BYTES) yield chunk.subarray(at, at + STEP_BYTES);
  }
}
