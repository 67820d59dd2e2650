import type { BeginRunResponse, ReadRequest } from '@tidemark/contracts';
import type { Connection } from './connection.js';
import { toDuration } from './connection-messages.js';
import type { Run } from './run.js';
import { toWireKind } from './run-messages.js';

const PAGE_RECORDS = 500;
const PAGE_BYTES = 4 * 1024 * 1024;

/**
 * What to read for a run: its model, from the store's checkpoint, the fields in scope and nothing else. `overlapMs` is for a delta;
 * without it, the connector's own counts.
 */
export function toReadRequest(
  { model, kind }: Run,
  { scope }: Connection,
  { checkpoint, fingerprintKey }: BeginRunResponse,
  settings: ReadRequest['settings'],
  overlapMs?: number,
): ReadRequest {
  return {
    settings,
    model,
    kind: toWireKind(kind),
    checkpoint,
    fields: [...(scope.models.find((candidate) => candidate.model === model)?.fields ?? [])],
    fingerprintKey,
    pageRecords: PAGE_RECORDS,
    pageBytes: PAGE_BYTES,
    overlap: kind === 'DELTA' ? toDuration(overlapMs) : undefined,
  };
}
