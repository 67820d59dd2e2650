import {
  DeleteDecision,
  type BeginRunResponse,
  type Lease,
  type Page,
  type ReadEnd,
  type SourceWait,
} from '@tidemark/contracts';
import { isTidemarkError, judgeFailure } from '@tidemark/model';
import type { Logger } from '@tidemark/runtime';
import type { Connection } from './connection.js';
import { fromDuration } from './connection-messages.js';
import type { Connections } from './connections.js';
import type { Connectors } from './connectors.js';
import { asTidemarkError } from './failure.js';
import { PageCommitter } from './page-committer.js';
import { removeOrphan } from './orphans.js';
import { pumpPages } from './page-pump.js';
import { toReadRequest } from './read-request.js';
import type { Run, RunEnd } from './run.js';
import { toCounters, toReadEnd, toRunEnd } from './run-messages.js';
import type { RunOutcome, StopReason } from './run-outcome.js';
import { RunProgress } from './run-progress.js';
import type { RunPatch, Runs } from './runs.js';
import type { SourceTargets } from './source-targets.js';
import type { StoreClient } from './store-client.js';

/** How often a run may find that the store stands at another page than it thought. */
const MAX_REOPENS = 3;
const NO_END: RunEnd = { endEvidence: '', failures: [], deltaCheckpoint: new Uint8Array(0) };

/** What working on a run needs. */
export interface ExecutionParts {
  readonly runs: Runs;
  readonly connections: Connections;
  readonly store: StoreClient;
  readonly connectors: Connectors;
  readonly targets: SourceTargets;
  readonly logger: Logger;
}

/** One turn of work on one run under a lease: from the store's checkpoint to the run's end, or to where it is stopped. */
export class RunExecution {
  private readonly stopping = new AbortController();
  private readonly progress: RunProgress;
  private stopReason: StopReason | undefined;
  private failures: number;

  /** `lost` aborts when the lease is lost; everything under way then ends at once. */
  constructor(
    private readonly parts: ExecutionParts,
    private readonly run: Run,
    private readonly lease: Lease,
    private readonly lost: AbortSignal,
  ) {
    this.failures = run.failures;
    const listener = {
      onRequest: (request: 'PAUSE' | 'CANCEL') => this.stop(request),
      // The lease's keeper says so too; whoever notices first.
      onLost: () => this.stop('SHUTDOWN'),
    };
    this.progress = new RunProgress(parts.runs, run, listener, parts.logger);
  }

  /** Stops the work at its next page boundary. */
  stop(reason: StopReason): void {
    this.stopReason ??= reason;
    this.stopping.abort();
  }

  /** Works until the run ends or is stopped. Never throws; gives back progress that was not written yet, too. */
  async execute(): Promise<{ outcome: RunOutcome; unwritten: RunPatch }> {
    if (this.run.request !== undefined) this.stop(this.run.request);
    this.progress.start();
    let outcome: RunOutcome;
    try {
      outcome = await this.work();
    } catch (error) {
      outcome = this.failed(error);
    }
    return { outcome, unwritten: await this.progress.stop() };
  }

  private async work(): Promise<RunOutcome> {
    const { tenantId, connectionId } = this.run;
    const connection = await this.parts.connections.find({ tenantId, id: connectionId });
    if (connection === undefined || connection.state === 'DELETING')
      return { kind: 'VOID', note: 'the connection is deleted' };
    for (let reopens = 0; ; reopens++) {
      try {
        return await this.workOnce(connection);
      } catch (error) {
        if (!isTidemarkError(error, 'PAGE_OUT_OF_ORDER') || reopens >= MAX_REOPENS) throw error;
      }
    }
  }

  private async workOnce(connection: Connection): Promise<RunOutcome> {
    await this.parts.store.openConnection(connection, this.lost);
    if (!(await this.isThere(connection))) return { kind: 'VOID', note: 'the connection is deleted' };
    const begun = await this.parts.store.beginRun(this.lease, this.lost);
    this.report({ counters: toCounters(begun.counters, this.run.counters) });
    if (begun.finishing) return this.finish(connection, this.run.end ?? NO_END);
    // The decision was about the deletes of a snapshot that another has replaced since.
    if (this.run.decision !== undefined) return { kind: 'VOID', note: 'superseded by a newer run' };
    const end = await this.read(connection, begun);
    if (end === undefined) return { kind: 'STOPPED', reason: this.stopReason ?? 'SHUTDOWN' };
    const kept = toRunEnd(end);
    // Before the store is told: a run that is taken over has to finish with the same end.
    await this.parts.runs.progress(this.run, { end: kept });
    return this.finish(connection, kept);
  }

  /** A deletion may have passed by before the store was told to open the connection; then nobody else would close it. */
  private async isThere(connection: Connection): Promise<boolean> {
    const { connections, store } = this.parts;
    const state = await connections.stateOf(connection);
    if (state !== undefined && state !== 'DELETING') return true;
    await removeOrphan(connection, connections, store);
    return false;
  }

  private async read(connection: Connection, begun: BeginRunResponse): Promise<ReadEnd | undefined> {
    const target = this.parts.targets.of(connection);
    const request = toReadRequest(this.run, connection, begun, target.settings);
    let expectedRecords = begun.recordCount > 0n ? Number(begun.recordCount) : undefined;
    const committer = new PageCommitter(this.parts.store, this.lease, begun, this.lost, (response, page) => {
      this.failures = 0;
      if (page.expectedRecords !== undefined) expectedRecords = Number(page.expectedRecords);
      this.report({
        counters: toCounters(response.counters, this.run.counters),
        lastSequence: Number(response.lastSequence),
        ...(expectedRecords === undefined ? {} : { expectedRecords }),
        note: undefined,
      });
    });
    const reading = new AbortController();
    const signal = AbortSignal.any([reading.signal, this.lost]);
    const messages = this.parts.connectors.read(target, request, signal);
    try {
      const sink = {
        commit: (page: Page) => committer.commit(page),
        wait: (wait: SourceWait) => this.report({ note: waitNote(wait) }),
      };
      const result = await pumpPages(messages, sink, this.stopping.signal);
      await committer.drain();
      if ('stopped' in result) return undefined;
      if (result.end.expectedRecords !== undefined)
        this.report({ expectedRecords: Number(result.end.expectedRecords) });
      return result.end;
    } catch (error) {
      // A page still under way counts if it can be committed; if it cannot, that is no news.
      await committer.drain().catch(() => undefined);
      throw error;
    } finally {
      reading.abort();
    }
  }

  /** From here on only a shutdown stops the run: a delete pass is short, and not to be left half-done by a cancel. */
  private async finish({ guard }: Connection, end: RunEnd): Promise<RunOutcome> {
    const request = {
      lease: this.lease,
      end: toReadEnd(end),
      guard: {
        maxDeletedShare: guard.maxDeletedShare,
        minDeletedRecords: guard.minDeletedRecords,
        maxQuarantinedShare: guard.maxQuarantinedShare,
      },
      decision: toDecision(this.run.decision),
    };
    for (;;) {
      const response = await this.parts.store.finishRun(request, this.lost);
      if (response.done) return { kind: 'FINISHED', response };
      this.report({
        counters: toCounters(response.counters, this.run.counters),
        lastSequence: Number(response.lastSequence),
      });
      if (this.stopReason === 'SHUTDOWN') return { kind: 'STOPPED', reason: 'SHUTDOWN' };
    }
  }

  private failed(failure: unknown): RunOutcome {
    const lost: unknown = this.lost.aborted ? this.lost.reason : undefined;
    const error = asTidemarkError(lost ?? failure);
    const { reason, retryAfterMs } = error;
    // The store refuses a lease that the control database still gives us: one of them went back in time, from a backup or
    // by its clock. Nobody else has the run then, and to drop it would only make us take it up again at once, for ever.
    const isRefused = reason === 'LEASE_LOST' && !this.lost.aborted;
    const facts = {
      reason: isRefused ? ('SERVICE_UNAVAILABLE' as const) : reason,
      retryAfterMs,
      failures: this.failures,
      startedOver: this.run.startedOver,
      random: Math.random(),
    };
    const verdict = judgeFailure(facts);
    // It would stop at once when it is tried again.
    if (verdict.action === 'RETRY' && this.stopReason !== undefined)
      return { kind: 'STOPPED', reason: this.stopReason };
    return { kind: 'FAILED', error, verdict };
  }

  private report(patch: RunPatch): void {
    this.progress.report(patch);
  }
}

function waitNote({ duration, message }: SourceWait): string {
  const seconds = Math.round(duration === undefined ? 0 : fromDuration(duration) / 1_000);
  return `the source asked to wait ${seconds} s (${message})`;
}

function toDecision(decision: Run['decision']): DeleteDecision {
  switch (decision) {
    case 'APPROVED':
      return DeleteDecision.APPROVED;
    case 'DISCARDED':
      return DeleteDecision.DISCARDED;
    case undefined:
      return DeleteDecision.BY_GUARD;
  }
}
