import { leaseId, NOT_BARREN } from '@tidemark/model';
import { Binary, type UpdateFilter } from 'mongodb';
import { connectionKey } from './connection.js';
import type { RunDocument } from './mongo-collections.js';
import { NO_COUNTERS, NO_EFFORT, type NewRun, type Run } from './run.js';
import type { RunPatch } from './runs.js';

/** The document of a run that waits for its first start. */
export function newRunDocument(run: NewRun, priority: number, now: Date): RunDocument {
  const { id, tenantId, connectionId, connector, model, kind, trigger, after, startedOver } = run;
  return {
    _id: id,
    tenant: tenantId,
    connection: connectionId,
    connectionKey: connectionKey({ tenantId, id: connectionId }),
    queued: leaseId(run),
    connector,
    model,
    kind,
    trigger,
    state: 'WAITING',
    priority,
    counters: NO_COUNTERS,
    createTime: now,
    attempts: 0,
    failures: 0,
    barren: NOT_BARREN,
    effort: NO_EFFORT,
    interruptionMs: 0,
    notBefore: now,
    heldDeletes: 0,
    lastSequence: 0,
    after,
    startedOver,
    epoch: 0,
    revision: 0,
  };
}

/** A run from its document. */
export function fromRunDocument(document: RunDocument): Run {
  const {
    _id,
    tenant,
    connection,
    connectionKey: _key,
    queued: _queued,
    running: _running,
    end,
    ...rest
  } = document;
  return {
    id: _id,
    tenantId: tenant,
    connectionId: connection,
    ...rest,
    effort: { ...NO_EFFORT, ...rest.effort },
    ...(end === undefined ? {} : { end: { ...end, deltaCheckpoint: end.deltaCheckpoint.buffer } }),
  };
}

/** The update of a patch. A run that leaves its state is neither queued nor running any more. */
export function patchUpdate(given: RunPatch): UpdateFilter<RunDocument> {
  const { end, ...patch } = given;
  const entries = Object.entries('end' in given && end === undefined ? { ...patch, end } : patch);
  const gone = entries.filter(([, value]) => value === undefined).map(([name]): [string, 1] => [name, 1]);
  const left: [string, 1][] =
    patch.state === undefined
      ? []
      : [
          ['queued', 1],
          ['running', 1],
        ];
  const unset = Object.fromEntries([...gone, ...left]);
  return {
    $set: {
      ...Object.fromEntries(entries.filter(([, value]) => value !== undefined)),
      ...(end === undefined ? {} : { end: { ...end, deltaCheckpoint: new Binary(end.deltaCheckpoint) } }),
    },
    $inc: { revision: 1 },
    ...(Object.keys(unset).length === 0 ? {} : { $unset: unset }),
  };
}
