import { NOT_BARREN } from '@tidemark/model';
import { NO_COUNTERS, NO_EFFORT, type Run } from '../run.js';

/** A run that waits, with what a test cares about changed. */
export function aRun(changes: Partial<Run> = {}): Run {
  const time = new Date('2026-01-01T00:00:00Z');
  return {
    id: 'run_00000000000000000000000000000001',
    tenantId: 'acme',
    connectionId: 'hr',
    model: 'employees',
    kind: 'FULL',
    trigger: 'MANUAL',
    state: 'WAITING',
    priority: 2,
    counters: NO_COUNTERS,
    createTime: time,
    attempts: 0,
    barren: NOT_BARREN,
    effort: NO_EFFORT,
    interruptionMs: 0,
    connector: 'file',
    failures: 0,
    notBefore: time,
    heldDeletes: 0,
    lastSequence: 0,
    after: [],
    startedOver: false,
    epoch: 0,
    revision: 0,
    ...changes,
  };
}
