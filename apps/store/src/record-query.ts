import type { RecordFilter } from './record-filter.js';

/** Which records a stream shall read. */
export interface RecordQuery {
  readonly models: readonly string[];
  /** Sequences after this one … */
  readonly after: number;
  /** … up to this one. */
  readonly upTo: number;
  readonly excludeDeleted: boolean;
  readonly filter: RecordFilter | undefined;
  readonly signal: AbortSignal;
}
