import type { ReadingEnd } from '@tidemark/connector-kit';
import { TidemarkError } from '@tidemark/model';
import { ByteInput } from './byte-input.js';
import { readCountFile } from './count-file.js';
import { digestOf, identitiesOf } from './file-identity.js';
import type { Folder, ModelFile } from './model-files.js';
import { formatPosition, nextFile, parsePosition, type ReadPosition } from './read-position.js';
import type { Row, RowPlace, RowSettings } from './row.js';
import { rowPosition, rowSource } from './row-source.js';
import type { ModelSettings } from './settings.js';

/** What is read and how. */
export interface FileReadingOptions {
  readonly folder: Folder;
  readonly model: ModelSettings;
  readonly settings: RowSettings;
  /** Rows that a count file promises. */
  readonly expectedRecords: bigint | undefined;
}

/** Reads all files of a model, one after the other. */
export class FileReading {
  private ends: string[] = [];

  private constructor(
    private readonly options: FileReadingOptions,
    private readonly files: readonly ModelFile[],
    private readonly identities: readonly string[],
    private position: ReadPosition,
  ) {}

  /** Begins a read, or goes on from a checkpoint. Throws SOURCE_GONE, SOURCE_CHANGED, SOURCE_CONFIG_INVALID. */
  static async begin(options: FileReadingOptions, checkpoint: unknown): Promise<FileReading> {
    const files = await options.folder.files(options.model);
    const identities = await identitiesOf(files);
    return new FileReading(
      options,
      files,
      identities,
      parsePosition(checkpoint, digestOf(files, identities)),
    );
  }

  /** The rows of all files. */
  async *entries(): AsyncGenerator<Row[], ReadingEnd, undefined> {
    while (this.position.file < this.files.length) {
      const file = this.files[this.position.file];
      if (file !== undefined) yield* this.readFile(file);
    }
    return this.end();
  }

  private async *readFile(file: ModelFile): AsyncGenerator<Row[], void, undefined> {
    const input = await ByteInput.open(file);
    try {
      const position = this.position;
      const place = {
        checkpoint: (next: RowPlace) => formatPosition(position, next),
        position: (line: number) => rowPosition(input, line),
      };
      const source = rowSource(input, place, this.options.model, this.options.settings);
      let rows = position.rows;
      for await (const batch of source.rows(position)) {
        rows = batch.at(-1)?.next.rows ?? rows;
        yield batch;
      }
      const failures = [...input.failures, ...source.failures];
      const change =
        input.identity === this.identities[position.file]
          ? await input.change()
          : `${file.name} was changed while it was read`;
      if (change !== undefined) failures.push(change);
      this.ends.push(`end of ${file.name} at byte ${input.end}, ${rows} rows`);
      this.position = nextFile(position, rows, failures);
    } finally {
      await input.close();
    }
  }

  private async end(): Promise<ReadingEnd> {
    const { expectedRecords } = this.options;
    const rows = this.position.before;
    const failures = [...this.position.failures];
    if (failures.length === 0) failures.push(...(await this.changes()));
    if (failures.length === 0) failures.push(...(await this.countChange()));
    if (expectedRecords !== undefined && expectedRecords !== BigInt(rows)) {
      failures.push(
        `${this.options.model.countFile ?? ''} promises ${expectedRecords} rows, there are ${rows}`,
      );
    }
    return {
      evidence: failures.length > 0 ? '' : this.evidence(rows),
      failures,
      ...(expectedRecords === undefined ? {} : { expectedRecords }),
    };
  }

  /** What changed in the set of files as a whole: another file that matches, an earlier one that was written again. */
  private async changes(): Promise<string[]> {
    try {
      const files = await this.options.folder.files(this.options.model);
      const digest = digestOf(files, await identitiesOf(files));
      return digest === this.position.files ? [] : ['the files were changed while they were read'];
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      return [`the files changed while they were read: ${error.message}`];
    }
  }

  /** The count may be of another snapshot than the files: those who write both do not do so at one instant. */
  private async countChange(): Promise<string[]> {
    const { folder, model, expectedRecords } = this.options;
    if (model.countFile === undefined) return [];
    try {
      const now = await readCountFile(folder, model.countFile);
      return now === expectedRecords ? [] : [`${model.countFile} was changed while the files were read`];
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      return [`${model.countFile} changed while the files were read: ${error.message}`];
    }
  }

  private evidence(rows: number): string {
    if (this.files.length === 1) return this.ends.join();
    return `end of ${this.files.length} files, ${rows} rows; the last: ${this.ends.at(-1) ?? ''}`;
  }
}
