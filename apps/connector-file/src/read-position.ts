import { TidemarkError, type JsonValue } from '@tidemark/model';
import { z } from 'zod';
import type { RowPlace } from './row.js';

/** Failures of the files read so far that a checkpoint carries; more are counted only. */
const MAX_FAILURES = 20;
const MAX_FAILURE_LENGTH = 500;

const positionSchema = z.object({
  /** The state of all files when the read began; see digestOf. */
  files: z.string(),
  /** Index of the file under way. */
  file: z.int().nonnegative(),
  offset: z.int().nonnegative(),
  line: z.int().nonnegative(),
  rows: z.int().nonnegative(),
  /** Rows of the files before. */
  before: z.int().nonnegative(),
  /** Why the files before are not complete. */
  failures: z.array(z.string()),
});

/** Where the read of a model's files stands. */
export type ReadPosition = z.output<typeof positionSchema>;

/** The position of a checkpoint. Throws SOURCE_CHANGED if the files are no longer those that it was made for. */
export function parsePosition(checkpoint: unknown, files: string): ReadPosition {
  if (checkpoint === undefined)
    return { files, file: 0, offset: 0, line: 0, rows: 0, before: 0, failures: [] };
  const parsed = positionSchema.safeParse(checkpoint);
  if (!parsed.success || parsed.data.files !== files) {
    throw new TidemarkError('SOURCE_CHANGED', 'the files changed since this read began; it must start over');
  }
  return parsed.data;
}

/** The checkpoint of a place in the file under way. */
export function formatPosition(position: ReadPosition, place: RowPlace): JsonValue {
  return { ...position, ...place };
}

/** The position at the beginning of the next file. */
export function nextFile(position: ReadPosition, rows: number, failures: readonly string[]): ReadPosition {
  return {
    files: position.files,
    file: position.file + 1,
    offset: 0,
    line: 0,
    rows: 0,
    before: position.before + rows,
    failures: bound([...position.failures, ...failures]),
  };
}

function bound(failures: readonly string[]): string[] {
  const kept = failures.slice(0, MAX_FAILURES).map((failure) => failure.slice(0, MAX_FAILURE_LENGTH));
  return failures.length > MAX_FAILURES
    ? [...kept.slice(0, -1), 'further files are not complete either']
    : kept;
}
