import { setTimeout as sleep } from 'node:timers/promises';
import { GONE_AFTER } from '@tidemark/model';
import type { Logger } from '@tidemark/runtime';
import type { Cadences } from './cadences.js';
import { connectionOf } from './connection.js';
import type { ConnectionStates } from './connection-states.js';
import type { Run } from './run.js';
import { ends, settlement, type RunOutcome } from './run-outcome.js';
import type { RunRequests } from './run-requests.js';
import type { RunPatch, Runs } from './runs.js';
import type { SyncPlanner } from './sync-planner.js';

const SETTLE_RETRY_MS = 500;
const KEPT_RUNS = 200;

/** What settling runs needs. */
export interface SettlingParts {
  readonly runs: Runs;
  readonly requests: RunRequests;
  readonly states: ConnectionStates;
  readonly cadences: Cadences;
  readonly planner: Pick<SyncPlanner, 'replan'>;
  readonly logger: Logger;
}

/** Writes down what became of runs, and does what follows from it. */
export class RunSettling {
  /** `poke` says that a run may be waiting. */
  constructor(
    private readonly parts: SettlingParts,
    private readonly poke: () => void,
  ) {}

  /** Settles a run that was worked on; `unwritten` is progress that was not written yet. Throws only once the lease is `lost`. */
  async settle(run: Run, outcome: RunOutcome, unwritten: RunPatch, lost: AbortSignal): Promise<void> {
    const patch = settlement(run, outcome, new Date());
    this.log(run, outcome, patch);
    if (patch !== undefined) await this.writeAll(run, { ...unwritten, ...patch }, outcome, lost);
  }

  /** Ends a run that takes its worker down, each time, where others would go on with it for ever. */
  async abandon(run: Run): Promise<void> {
    const error = {
      reason: 'RUN_ABANDONED',
      message:
        `the process that worked on it died ${run.barren.attempts} times in a row before it committed a page; ` +
        'look into the logs of the scheduler, then run the sync again',
    };
    this.parts.logger.error({ ...subject(run), attempts: run.barren.attempts }, 'run abandoned');
    const endTime = new Date();
    await this.parts.runs.progress(run, { state: 'FAILED', error, endTime, request: undefined });
    await this.parts.cadences.failed(run, endTime);
    this.parts.planner.replan(connectionOf(run));
  }

  /** Writes what became of the run. Should the lease run out first, the next worker finds it out from the store. */
  private async writeAll(run: Run, patch: RunPatch, outcome: RunOutcome, lost: AbortSignal): Promise<void> {
    const { state, endTime, certificate } = patch;
    // Before the run ends: should a crash come between, whoever finishes it then tells it again.
    if (state === 'SUCCEEDED' && endTime !== undefined) {
      const isCertified = certificate?.certified === true;
      await this.untilWritten(run, lost, () => this.parts.cadences.succeeded(run, endTime, isCertified));
      if (patch.lateArrivals !== undefined) {
        const { count } = patch.lateArrivals;
        await this.untilWritten(run, lost, () => this.parts.cadences.checked(run, count));
      }
    }
    const written = await this.untilWritten(run, lost, () => this.write(run, patch));
    if (written !== undefined) await this.untilWritten(run, lost, () => this.followUp(run, patch, outcome));
  }

  /** A pause holds only if nobody took it back since the work stopped for it: then the run goes on. */
  private async write(run: Run, patch: RunPatch): Promise<Run | undefined> {
    const { runs } = this.parts;
    if (patch.state !== 'PAUSED') return runs.progress(run, patch);
    return (
      (await runs.progress(run, patch, 'PAUSE')) ?? (await runs.progress(run, { ...patch, state: 'WAITING' }))
    );
  }

  private async untilWritten<T>(run: Run, lost: AbortSignal, write: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await write();
      } catch (error) {
        if (lost.aborted) throw error;
        this.parts.logger.warn({ ...subject(run), error }, 'the state of a run could not be written yet');
        await sleep(SETTLE_RETRY_MS);
      }
    }
  }

  private async followUp(run: Run, patch: RunPatch, outcome: RunOutcome): Promise<void> {
    const { runs, requests, states, cadences } = this.parts;
    const verdict = outcome.kind === 'FAILED' ? outcome.verdict : undefined;
    if (verdict?.action === 'START_OVER') await requests.startOver(run);
    if (verdict?.action === 'STAND')
      await states.stand(connectionOf(run), verdict.event, patch.error?.message ?? '');
    if (verdict?.action === 'RETRY') setTimeout(() => this.poke(), verdict.delayMs).unref();
    if (patch.state === 'FAILED') {
      const failures = await cadences.failed(run, patch.endTime ?? new Date());
      // A file may be away for a while; an account that is gone stays so.
      if (patch.error?.reason === 'SOURCE_GONE' && failures >= GONE_AFTER)
        await states.stand(connectionOf(run), 'SOURCE_GONE', patch.error.message);
    }
    if (patch.state !== 'WAITING') this.parts.planner.replan(connectionOf(run));
    if (ends(patch)) await runs.prune(run, KEPT_RUNS);
  }

  private log(run: Run, outcome: RunOutcome, patch: RunPatch | undefined): void {
    const { logger } = this.parts;
    if (outcome.kind !== 'FAILED') {
      logger.info({ ...subject(run), state: patch?.state }, 'run left');
      return;
    }
    const { error, verdict } = outcome;
    const fields = { ...subject(run), error, verdict: verdict.action };
    if (verdict.action === 'RETRY' || verdict.action === 'DROP') logger.warn(fields, 'run interrupted');
    else logger.error(fields, 'run failed');
  }
}

/** A run, for the log. */
export function subject({ id, tenantId, connectionId, model, kind }: Run): object {
  return { run: id, tenant: tenantId, connection: connectionId, model, kind };
}
