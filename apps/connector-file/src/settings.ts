import { z } from 'zod';

const columnType = z.enum(['string', 'integer', 'number', 'boolean', 'json']);

const fieldNames = z.array(z.string().min(1).max(512)).max(1000);

const modelName = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,128}$/, 'a model name is 1 to 128 characters of A-Z a-z 0-9 _ . -');

/** How one model lies in files. */
export const modelSettings = z.strictObject({
  file: z
    .string()
    .min(1)
    .max(1024)
    .describe(
      'A file in the folder, or a glob; files that match are read in the order of their names. A name that ends with .gz is decompressed.',
    ),
  format: z
    .enum(['csv', 'jsonl', 'json'])
    .optional()
    .describe("The file's format; without it, its extension tells."),
  primaryKey: z
    .array(z.string().max(512))
    .min(1)
    .max(8)
    .default(['id'])
    .describe('The top-level fields that identify a record.'),
  columns: z
    .record(z.string(), columnType)
    .default({})
    .describe(
      'CSV: types of the columns that are no strings. An empty cell of theirs is null; a boolean is true, false, 1 or 0.',
    ),
  delimiter: z
    .string()
    .regex(/^[^\r\n"]{1,8}$/, 'a delimiter is 1 to 8 characters without line ends and quotes')
    .default(',')
    .describe('CSV: what stands between two cells.'),
  quote: z
    .string()
    .regex(/^[!-~]$/, 'a quote is one printable ASCII character')
    .nullable()
    .default('"')
    .describe('CSV: what encloses a cell, doubled within it; null if cells are never enclosed.'),
  encoding: z.literal('utf-8').default('utf-8').describe('The encoding of the text.'),
  finalNewline: z
    .enum(['required', 'optional'])
    .default('required')
    .describe(
      'CSV and JSON Lines: whether the last row needs a line end. Where it is required, a file cut short is noticed.',
    ),
  recordsAt: z
    .string()
    .max(512)
    .optional()
    .describe(
      'JSON: field path of the array of records; without it, the document itself is the array. Example: data.items',
    ),
  sensitive: fieldNames
    .default([])
    .describe('Field paths that are sensitive though discovery does not see it.'),
  notSensitive: fieldNames.default([]).describe('Field paths that only look sensitive.'),
  indexFields: z
    .array(z.string().min(1).max(512))
    .max(8)
    .default([])
    .describe(
      'Field paths that readers may filter on; a connection whose scope names its index fields goes over them.',
    ),
  dependsOn: z.array(modelName).max(100).default([]).describe('Models to sync before this one.'),
  countFile: z
    .string()
    .min(1)
    .max(1024)
    .optional()
    .describe(
      'A file in the folder that holds the number of rows; a snapshot with another number is not complete.',
    ),
});

/** The config of a connection. */
export const fileSettings = z.strictObject({
  path: z
    .string()
    .min(1)
    .max(4096)
    .describe(
      'The folder, inside the folders that the connector may read from; a relative path is looked for in each of them in turn.',
    ),
  models: z
    .record(modelName, modelSettings)
    .optional()
    .describe(
      'The models by name; without it, each .csv, .jsonl, .ndjson and .json file (also .gz) in the folder is one, named after the file.',
    ),
});

/** Files need no credentials. */
export const fileCredentials = z.strictObject({});

/** How one model lies in files. */
export type ModelSettings = z.output<typeof modelSettings>;

/** The config of a connection. */
export type FileSettings = z.output<typeof fileSettings>;

/** Type of a CSV column. */
export type ColumnType = z.output<typeof columnType>;
