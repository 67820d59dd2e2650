import type { Run, RunCounters, RunDiscrepancies } from './run.js';

/** How a run stands, in one sentence for a person; `wait` tells what one waits for that does not know itself. */
export function summarize(run: Run, now: Date, wait?: string): string {
  switch (run.state) {
    case 'WAITING':
      return waiting(run, now, wait);
    case 'RUNNING':
      return `${progress(run)} so far${run.note === undefined ? '' : `; ${run.note}`}.`;
    case 'PAUSED':
      return `Paused after ${count(run.counters.read, 'record')}${run.note === undefined ? '' : ` (${run.note})`}; resume it to go on.`;
    case 'HELD':
      return `Held: ${count(run.heldDeletes, 'delete')} of ${run.model} look like a fault of the source; approve or discard them.`;
    case 'SUCCEEDED':
      return `${read(run)}: ${changes(run.counters)}${snapshot(run)}${repairs(run)}${late(run)}${efforts(run)}.`;
    case 'FAILED':
      return `Failed after ${count(run.counters.read, 'record')}: ${run.error?.message ?? 'unknown'}${/[.!?]$/.test(run.error?.message ?? '') ? '' : '.'}`;
    case 'CANCELLED':
      return `Cancelled after ${count(run.counters.read, 'record')}${run.note === undefined ? '' : `: ${run.note}`}.`;
  }
}

function waiting(run: Run, now: Date, wait: string | undefined): string {
  if (run.decision !== undefined)
    return `Waits for a worker; its deletes are ${run.decision === 'APPROVED' ? 'approved' : 'discarded'}.`;
  const pause = run.notBefore.getTime() - now.getTime();
  if (run.error !== undefined) {
    const when = pause > 0 ? `in ${duration(pause)}` : 'now';
    return `Tries again ${when} (failure ${run.failures}): ${run.error.message}`;
  }
  const note = run.note ?? wait;
  return note === undefined ? 'Waits for a worker.' : `Waits: ${note}.`;
}

function progress({ counters, expectedRecords }: Run): string {
  const of =
    expectedRecords === undefined || expectedRecords < counters.read ? '' : ` of ${number(expectedRecords)}`;
  return `Read ${number(counters.read)}${of} ${counters.read === 1 && of === '' ? 'record' : 'records'}`;
}

function read({ counters, startTime, endTime }: Run): string {
  const took =
    startTime === undefined || endTime === undefined
      ? ''
      : ` in ${duration(endTime.getTime() - startTime.getTime())}`;
  return `Read ${count(counters.read, 'record')}${took}`;
}

function changes(counters: RunCounters): string {
  const parts = (['created', 'updated', 'unchanged', 'deleted', 'quarantined', 'stale'] as const)
    .filter((name) => counters[name] > 0)
    .map((name) => `${number(counters[name])} ${name}`);
  return parts.length === 0 ? 'nothing to do' : parts.join(', ');
}

function snapshot({ kind, certificate, decision }: Run): string {
  if (kind !== 'FULL') return '';
  if (certificate?.certified !== true) {
    return `; snapshot not certified, so nothing was deleted${certificate === undefined ? '' : `: ${certificate.failures.join('; ')}`}`;
  }
  return decision === 'DISCARDED'
    ? '; its deletes were discarded, nothing was deleted'
    : '; snapshot certified';
}

/** What deltas and webhooks should have brought; a run that found nothing of it says nothing. */
function repairs({ discrepancies }: Run): string {
  if (discrepancies === undefined) return '';
  const kinds = ['created', 'updated', 'deleted'] as const satisfies readonly (keyof RunDiscrepancies)[];
  const parts = kinds
    .filter((kind) => discrepancies[kind] > 0)
    .map((kind) => `${number(discrepancies[kind])} ${kind}`);
  const total = kinds.reduce((sum, kind) => sum + discrepancies[kind], 0);
  return total === 0 ? '' : `; repaired ${count(total, 'record')} that deltas missed: ${parts.join(', ')}`;
}

/** What came too late for deltas; a run before which nothing did says nothing. */
function late({ lateArrivals }: Run): string {
  if (lateArrivals === undefined || lateArrivals.count === 0) return '';
  return `; ${count(lateArrivals.count, 'change')} before it came late from the source, so deltas read further back from now on`;
}

/** What came in the way; a run that met nothing says nothing. */
function efforts({ effort }: Run): string {
  const parts = [
    effort.retries > 0 ? `tried again after ${count(effort.retries, 'failure')}` : '',
    effort.takeovers > 0 ? `taken over ${times(effort.takeovers)}` : '',
    effort.yields > 0 ? `let a delta go first ${times(effort.yields)}` : '',
    effort.pauses > 0 ? `paused ${times(effort.pauses)}` : '',
    effort.waitedMs > 0 ? `waited ${duration(effort.waitedMs)} for the source` : '',
  ].filter((part) => part !== '');
  return parts.length === 0 ? '' : `; ${parts.join(', ')}`;
}

function times(value: number): string {
  return value === 1 ? 'once' : `${number(value)} times`;
}

function count(value: number, noun: string): string {
  return `${number(value)} ${noun}${value === 1 ? '' : 's'}`;
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}

function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1_000;
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 360) / 10} h`;
}
