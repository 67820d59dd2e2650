import { ByteInput } from './byte-input.js';
import { readCsvHeader } from './csv-header.js';
import type { ModelFile } from './model-files.js';
import { FILE_START, type Row, type RowFile } from './row.js';
import { rowPosition, rowSource } from './row-source.js';
import type { ModelSettings } from './settings.js';

/** Bytes that samples are taken from, at most: the rows of hostile files are long. */
const MOST_BYTES = 16 * 1024 * 1024;

/** How the first rows of a model were read, and what a person should know of them. */
export interface Samples {
  /** How many there were. */
  readonly rows: number;
  /** Names of the CSV columns, known even without rows. */
  readonly columns: readonly string[];
  /** Never values. */
  readonly warnings: readonly string[];
}

/** Reads the first rows of a model's files, all fields of them, and keeps none. Throws what a read would throw. */
export async function readSamples(
  files: readonly ModelFile[],
  model: ModelSettings,
  most: number,
  signal: AbortSignal,
  onRow: (row: Row) => void,
): Promise<Samples> {
  const sampler = new Sampler(model, most, signal, onRow);
  for (const file of files) {
    if (!sampler.hasEnough) await sampler.sample(file);
  }
  return sampler;
}

class Sampler implements Samples {
  rows = 0;
  readonly columns: string[] = [];
  readonly warnings: string[] = [];
  private bytes = 0;

  constructor(
    private readonly model: ModelSettings,
    private readonly most: number,
    private readonly signal: AbortSignal,
    private readonly onRow: (row: Row) => void,
  ) {}

  get hasEnough(): boolean {
    return this.rows >= this.most || this.bytes >= MOST_BYTES;
  }

  async sample(file: ModelFile): Promise<void> {
    const input = await ByteInput.open(file);
    try {
      if (file.format === 'csv')
        this.columns.push(...(await readCsvHeader(input, this.model, this.signal)).names);
      const isComplete = await this.readRows(input);
      if (!isComplete) await this.checkEnd(input);
    } finally {
      await input.close();
    }
  }

  /** False if it left before the end. */
  private async readRows(input: ByteInput): Promise<boolean> {
    const { model, signal } = this;
    const place: RowFile = { position: (line) => rowPosition(input, line), checkpoint: () => null };
    const source = rowSource(input, place, model, {
      primaryKey: model.primaryKey,
      fields: undefined,
      mayBeEmpty: true,
      signal,
    });
    const before = this.bytes;
    for await (const batch of source.rows(FILE_START)) {
      const taken = batch.slice(0, this.most - this.rows);
      taken.forEach(this.onRow);
      this.rows += taken.length;
      this.bytes = before + input.end;
      if (this.hasEnough) return false;
    }
    this.warnings.push(...input.failures, ...source.failures);
    return true;
  }

  private async checkEnd(input: ByteInput): Promise<void> {
    const { name, format, gzip } = input.file;
    const isLined = format !== 'json' && !gzip && this.model.finalNewline === 'required';
    if (isLined && !(await input.endsWithNewline())) {
      this.warnings.push(`${name} does not end with a line end: its last row will be rejected`);
    }
  }
}
