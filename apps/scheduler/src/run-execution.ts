import type { BeginRunResponse, DeltaCheck, Lease, Page, ReadEnd, SourceWait } from '@tidemark/contracts';
import {
  budgetKind,
  cadenceOf,
  checksDeltas,
  isTidemarkError,
  mayYield,
  type TidemarkError,
} from '@tidemark/model';
import type { Logger } from '@tidemark/runtime';
import type { Cadences, SyncCadence } from './cadences.js';
import { connectionOf, type Connection } from './connection.js';
import { fromDuration } from './connection-messages.js';
import type { Connections } from './connections.js';
import { asTidemarkError } from './failure.js';
import { toFinishRequest } from './finish-request.js';
import { PageCommitter } from './page-committer.js';
import { removeOrphan } from './orphans.js';
import type { Hold, PacedReads } from './paced-read.js';
import { pumpPages } from './page-pump.js';
import { toReadRequest } from './read-request.js';
import type { Run, RunEffort, RunEnd } from './run.js';
import { toCounters, toRunEnd } from './run-messages.js';
import { failureOutcome, type RunOutcome, type StopReason } from './run-outcome.js';
import { RunProgress } from './run-progress.js';
import type { RunPatch, Runs } from './runs.js';
import { ScopeWatch } from './scope-watch.js';
import type { SourceTargets } from './source-targets.js';
import type { StoreClient } from './store-client.js';

/** How often a run may find that the store stands at another page than it thought. */
const MAX_REOPENS = 3;
const STOP_FOR_SCOPE = { NARROWED: 'SCOPE_CHANGED', REMOVED: 'SCOPE_LEFT' } as const;
const NO_END: RunEnd = { endEvidence: '', failures: [], deltaCheckpoint: new Uint8Array(0) };

/** What working on a run needs. */
export interface ExecutionParts {
  readonly runs: Runs;
  readonly connections: Connections;
  readonly store: StoreClient;
  readonly reads: PacedReads;
  readonly targets: SourceTargets;
  readonly cadences: Pick<Cadences, 'find'>;
  /** A source that sends nothing for so long, beyond what it asked to wait, is taken for an outage. */
  readonly silenceMs: number;
  readonly logger: Logger;
}

/** One turn of work on one run under a lease: from the store's checkpoint to the run's end, or to where it is stopped. */
export class RunExecution {
  private readonly stopping = new AbortController();
  private readonly progress: RunProgress;
  private scope: ScopeWatch | undefined;
  private stopReason: StopReason | undefined;
  private contender: Run | undefined;
  private failures: number;
  private effort: RunEffort;
  private readonly began = performance.now();
  private pages = 0;
  private isReading = false;

  /** `lost` aborts when the lease is lost; everything under way then ends at once. */
  constructor(
    private readonly parts: ExecutionParts,
    private readonly run: Run,
    private readonly lease: Lease,
    private readonly lost: AbortSignal,
  ) {
    this.failures = run.failures;
    this.effort = run.effort;
    const listener = {
      onRequest: (request: 'PAUSE' | 'CANCEL') => this.stop(request),
      // The lease's keeper says so too; whoever notices first.
      onLost: () => this.stop('SHUTDOWN'),
      onTurn: () => this.considerYielding(),
    };
    this.progress = new RunProgress(parts.runs, run, listener, parts.logger);
  }

  /** Stops the work at its next page boundary. */
  stop(reason: StopReason): void {
    if (this.stopReason === undefined || this.stopReason === 'YIELD') this.stopReason = reason;
    this.stopping.abort();
  }

  /** Lets a delta or webhook run that waits for this full sync go first, at the next page boundary (R9). */
  async considerYielding(): Promise<void> {
    const { run, pages } = this;
    const turnMs = performance.now() - this.began;
    if (run.kind !== 'FULL' || !this.isReading || this.stopReason !== undefined) return;
    if (!mayYield({ pages, turnMs, interruptionMs: run.interruptionMs })) return;
    const contender = await this.parts.runs.contender(run, new Date());
    if (contender === undefined || !this.isReading) return;
    this.contender ??= contender;
    this.stop('YIELD');
  }

  /** Works until the run ends or is stopped. Never throws; gives back progress that was not written yet, too. */
  async execute(): Promise<{ outcome: RunOutcome; unwritten: RunPatch; effort: RunEffort }> {
    if (this.run.request !== undefined) this.stop(this.run.request);
    this.progress.start();
    let outcome: RunOutcome;
    try {
      outcome = await this.work();
    } catch (error) {
      outcome = await this.failed(error);
    }
    return { outcome, unwritten: await this.progress.stop(), effort: this.effort };
  }

  private async work(): Promise<RunOutcome> {
    const { tenantId, connectionId } = this.run;
    const connection = await this.parts.connections.find({ tenantId, id: connectionId });
    if (connection === undefined || connection.state === 'DELETING')
      return { kind: 'VOID', note: 'the connection is deleted' };
    if (!connection.scope.models.some(({ model }) => model === this.run.model))
      return { kind: 'STOPPED', reason: 'SCOPE_LEFT' };
    this.scope = this.watchScope(connection);
    for (let reopens = 0; ; reopens++) {
      try {
        return await this.workOnce(connection);
      } catch (error) {
        if (!isTidemarkError(error, 'PAGE_OUT_OF_ORDER') || reopens >= MAX_REOPENS) throw error;
      }
    }
  }

  private watchScope(connection: Connection): ScopeWatch {
    const { connections, logger } = this.parts;
    const onEffect = (effect: 'NARROWED' | 'REMOVED') => this.stop(STOP_FOR_SCOPE[effect]);
    return new ScopeWatch(connections, connection, this.run.model, onEffect, logger);
  }

  private async workOnce(connection: Connection): Promise<RunOutcome> {
    await this.parts.store.openConnection(connection, this.lost);
    if (!(await this.isThere(connection))) return { kind: 'VOID', note: 'the connection is deleted' };
    const begun = await this.parts.store.beginRun(this.lease, this.lost);
    this.report({ counters: toCounters(begun.counters, this.run.counters) });
    if (begun.finishing) return this.finish(connection, this.run.end ?? NO_END);
    if (this.run.decision !== undefined) return this.withoutDeletes(connection);
    const end = await this.read(connection, begun);
    if (end === undefined) return this.stopped(this.stopReason ?? 'SHUTDOWN');
    const kept = toRunEnd(end);
    // Before the store is told: a run that is taken over has to finish with the same end.
    await this.parts.runs.progress(this.run, { end: kept });
    return this.finish(connection, kept);
  }

  private stopped(reason: StopReason): RunOutcome {
    const { contender } = this;
    return reason === 'YIELD' && contender !== undefined
      ? { kind: 'STOPPED', reason, contender }
      : { kind: 'STOPPED', reason };
  }

  /** The decision was about the deletes of a snapshot that another one has replaced since, or that a change of scope has undone. */
  private withoutDeletes({ setup }: Connection): RunOutcome {
    return setup?.changed?.includes(this.run.model) === true
      ? { kind: 'STOPPED', reason: 'SCOPE_CHANGED' }
      : { kind: 'VOID', note: 'superseded by a newer run' };
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
    const request = toReadRequest(this.run, connection, begun, target.settings, await this.overlapMs());
    let expectedRecords = begun.recordCount > 0n ? Number(begun.recordCount) : undefined;
    const committer = new PageCommitter(this.parts.store, this.lease, begun, this.lost, (response, page) => {
      this.failures = 0;
      this.pages++;
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
    const reader = { id: this.run.id, kind: budgetKind(this.run.kind, this.run.trigger) };
    const messages = this.parts.reads.read(target, request, reader, signal);
    this.scope?.start();
    this.isReading = true;
    try {
      const sink = {
        commit: (page: Page) => committer.commit(page),
        wait: (wait: SourceWait) => this.waited(wait),
        hold: (hold: Hold) => this.held(hold),
      };
      const result = await pumpPages(messages, sink, this.stopping.signal, this.parts.silenceMs);
      await committer.drain();
      if ('stopped' in result) return undefined;
      if (result.end.expectedRecords !== undefined)
        this.report({ expectedRecords: Number(result.end.expectedRecords) });
      return result.end;
    } catch (error) {
      // With the reason: a source that fell silent counts as one that is down.
      reading.abort(error);
      // A page still under way counts if it can be committed. If it cannot, that came first: a connector whose page is refused has
      // broken its contract, even if its stream breaks off right after it.
      await committer.drain();
      throw error;
    } finally {
      this.isReading = false;
      reading.abort();
      // What the read that was cut off here ends with is no news.
      await messages.return(undefined).catch(() => undefined);
      await this.scope?.stop();
    }
  }

  /** From here on only a shutdown stops the run: a delete pass is short, and not to be left half-done by a cancel. */
  private async finish(connection: Connection, end: RunEnd): Promise<RunOutcome> {
    const check = await this.deltaCheck(connection);
    const request = toFinishRequest(this.lease, end, connection.guard, this.run.decision, check);
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

  /** How far a delta is to read back; undefined: as far as its connector does anyway. */
  private async overlapMs(): Promise<number | undefined> {
    const { model, kind } = this.run;
    if (kind !== 'DELTA') return undefined;
    const ms = cadenceOf(await this.cadences(), model, kind)?.overlap?.ms ?? 0;
    return ms > 0 ? ms : undefined;
  }

  /** What the delta after this full run is to be checked for, if it is. */
  private async deltaCheck({ catalogue }: Connection): Promise<DeltaCheck | undefined> {
    const capabilities = catalogue.find(({ name }) => name === this.run.model)?.capabilities;
    if (this.run.kind !== 'FULL' || capabilities?.delta !== true) return undefined;
    return checksDeltas(this.run, await this.cadences()) ? { deletes: capabilities.deltaDeletes } : undefined;
  }

  private async cadences(): Promise<readonly SyncCadence[]> {
    return (await this.parts.cadences.find(connectionOf(this.run))) ?? [];
  }

  private async failed(failure: unknown): Promise<RunOutcome> {
    const lost: unknown = this.lost.aborted ? this.lost.reason : undefined;
    const error = asTidemarkError(lost ?? failure);
    if (this.scope !== undefined && isTidemarkError(error, 'SCOPE_VIOLATED', 'MODEL_NOT_FOUND')) {
      const effect = await this.scope.onRefusal().catch(asTidemarkError);
      if (typeof effect !== 'string') return this.judged(effect);
      if (effect !== 'NONE') return { kind: 'STOPPED', reason: STOP_FOR_SCOPE[effect] };
    }
    return this.judged(error);
  }

  private judged(error: TidemarkError): RunOutcome {
    const { failures, stopReason } = this;
    const { startedOver } = this.run;
    const facts = { failures, startedOver, stopReason, isLost: this.lost.aborted, random: Math.random() };
    const outcome = failureOutcome(error, facts);
    return outcome.kind === 'STOPPED' ? this.stopped(outcome.reason) : outcome;
  }

  private waited(wait: SourceWait): void {
    const ms = wait.duration === undefined ? 0 : fromDuration(wait.duration);
    this.held({ ms, note: waitNote(wait), goesOn: false });
  }

  private held({ ms, note, goesOn }: Hold): void {
    const { waits, waitedMs } = this.effort;
    this.effort = { ...this.effort, waits: waits + (goesOn ? 0 : 1), waitedMs: waitedMs + ms };
    this.report({ note, effort: this.effort });
  }

  private report(patch: RunPatch): void {
    this.progress.report(patch);
  }
}

function waitNote({ duration, message }: SourceWait): string {
  const seconds = Math.round(duration === undefined ? 0 : fromDuration(duration) / 1_000);
  return `the source asked to wait ${seconds} s (${message})`;
}
