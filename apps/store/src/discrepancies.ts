import type { RecordWrite } from './mongo-change-writer.js';
import type { DiscrepanciesDocument } from './mongo-collections.js';

const MAX_IDS = 100;

/** None yet. */
export const NO_DISCREPANCIES: DiscrepanciesDocument = { created: 0, updated: 0, deleted: 0, ids: [] };

/** Counts what a full run changes of a model that deltas or webhooks follow: they should have brought it (R13). */
export function addDiscrepancies(
  { created, updated, deleted, ids }: DiscrepanciesDocument,
  writes: readonly RecordWrite[],
): DiscrepanciesDocument {
  const count = (...operations: string[]): number =>
    writes.filter(({ change }) => operations.includes(change.operation)).length;
  const more = writes.slice(0, Math.max(0, MAX_IDS - ids.length));
  return {
    created: created + count('CREATED', 'RESTORED'),
    updated: updated + count('UPDATED'),
    deleted: deleted + count('DELETED'),
    ids: [...ids, ...more.map(({ change }) => change.observation.id)],
  };
}
