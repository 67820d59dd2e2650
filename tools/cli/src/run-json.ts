import { SyncKind, SyncRunState, SyncTrigger, type SyncRun } from '@tidemark/contracts';
import { durationJson, enumName, type Writable } from './json.js';

/** A sync run as `--json` shows it; counters of zero are there too. */
export function runJson(run: SyncRun): Writable {
  return {
    ...run,
    kind: enumName(SyncKind, run.kind),
    trigger: enumName(SyncTrigger, run.trigger),
    state: enumName(SyncRunState, run.state),
    counters: run.counters && { ...run.counters },
    certificate: run.certificate && { ...run.certificate },
    discrepancies: run.discrepancies && { ...run.discrepancies },
    effort: run.effort && { ...run.effort, waited: run.effort.waited && durationJson(run.effort.waited) },
    lateArrivals: run.lateArrivals && { ...run.lateArrivals },
    error: run.error && { ...run.error },
  };
}
