import type { ByteInput } from './byte-input.js';
import { CsvRows } from './csv-rows.js';
import { JsonArray } from './json-array.js';
import { JsonLines } from './json-lines.js';
import type { RowFile, RowSettings, RowSource } from './row.js';
import type { ModelSettings } from './settings.js';

/** The rows of an open file, by its format. */
export function rowSource(
  input: ByteInput,
  file: RowFile,
  model: ModelSettings,
  settings: RowSettings,
): RowSource {
  switch (input.file.format) {
    case 'csv':
      return new CsvRows(input, file, { ...model, ...settings });
    case 'jsonl':
      return new JsonLines(input, file, { ...model, ...settings });
    case 'json':
      return new JsonArray(input, file, { ...model, ...settings });
  }
}

/** The position of a row for a person: its line, or its index in a JSON array. */
export function rowPosition(input: ByteInput, line: number): string {
  return input.file.format === 'json' ? `${input.file.name}[${line}]` : `${input.file.name}:${line}`;
}
