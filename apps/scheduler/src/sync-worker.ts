import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { GONE_AFTER, MAX_BARREN_ATTEMPTS, type ConnectionState, type RunLimits } from '@tidemark/model';
import type { Cadences } from './cadences.js';
import { connectionOf } from './connection.js';
import type { ConnectionStates } from './connection-states.js';
import { LeaseKeeper } from './lease-keeper.js';
import type { Leases, OwnedLease } from './leases.js';
import type { Run } from './run.js';
import { RunExecution, type ExecutionParts } from './run-execution.js';
import { ends, settlement, type RunOutcome } from './run-outcome.js';
import type { RunRequests } from './run-requests.js';
import type { RunPatch } from './runs.js';
import type { SyncPlanner } from './sync-planner.js';
import { toLeaseMessage } from './store-client.js';
import { WaitingRuns } from './waiting-runs.js';

const LONGEST_POLL_MS = 5_000;
const SETTLE_RETRY_MS = 500;
const KEPT_RUNS = 200;

/** What a worker needs. */
export interface WorkerParts extends ExecutionParts {
  readonly leases: Leases;
  readonly requests: RunRequests;
  readonly states: ConnectionStates;
  readonly cadences: Cadences;
  readonly planner: Pick<SyncPlanner, 'replan'>;
  readonly leaseMs: number;
  /** Runs that one process works on at once. */
  readonly slots: number;
  readonly limits: RunLimits;
}

/** Works on runs: finds those that wait and those whose worker died, and carries each to its end. */
export class SyncWorker {
  private readonly owner = randomUUID();
  private readonly executions = new Map<string, RunExecution>();
  private readonly work = new Set<Promise<void>>();
  private readonly stopping = new AbortController();
  private loop: Promise<void> = Promise.resolve();
  private wakeUp: () => void = () => undefined;
  private poked = false;
  private readonly waiting: WaitingRuns;

  constructor(private readonly parts: WorkerParts) {
    this.waiting = new WaitingRuns(parts.runs, parts.limits);
  }

  start(): void {
    this.loop = this.follow();
  }

  /** Says that a run may be waiting. A lost call is made up for by the poll. */
  poke(): void {
    this.waiting.changed();
    this.go();
    for (const execution of this.executions.values()) {
      execution.considerYielding().catch((error: unknown) => {
        // It considers it again twice a second.
        this.parts.logger.debug({ error }, 'waiting deltas could not be looked for');
      });
    }
  }

  private go(): void {
    this.poked = true;
    this.wakeUp();
  }

  /** Stops runs at their next page boundary and leaves them to other workers. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.poke();
    await this.loop;
    for (const execution of this.executions.values()) execution.stop('SHUTDOWN');
    await Promise.all(this.work);
  }

  private async follow(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      this.poked = false;
      try {
        await this.claim();
      } catch (error) {
        this.parts.logger.warn({ error }, 'waiting runs could not be looked for');
      }
      if (!this.poked) await this.untilPoked();
    }
  }

  private untilPoked(): Promise<void> {
    return new Promise((resolve) => {
      // A run whose worker died waits for its lease to run out, and then not much longer than that.
      const longest = Math.min(LONGEST_POLL_MS, this.parts.leaseMs);
      const timer = setTimeout(resolve, (this.hasSlot() ? this.waiting.nextLookMs : undefined) ?? longest);
      this.wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Starts as many runs as there are free slots: those whose workers died, then those that wait, fairly. */
  private async claim(): Promise<void> {
    if (!this.hasSlot()) return;
    const { waiting } = this;
    if (!waiting.needsLook && ((await this.startWaiting()) || waiting.isOutdated)) return;
    await waiting.look(() => this.takeOver());
    await this.startWaiting();
  }

  /** Starts those whose workers died; gives back all that run. */
  private async takeOver(): Promise<readonly Run[]> {
    const { runs, leases } = this.parts;
    const running = await runs.running();
    const others = running.filter(({ id }) => !this.executions.has(id));
    const alive = await leases.alive(others);
    for (const run of others.filter(({ id }) => !alive.has(id))) {
      if (!this.hasSlot()) break;
      await this.claimRun(run);
    }
    return running;
  }

  /** Starts runs of those that were seen waiting; whether there was one. */
  private startWaiting(): Promise<boolean> {
    return this.waiting.start(
      (run) => this.claimRun(run),
      () => this.hasSlot(),
    );
  }

  private hasSlot(): boolean {
    return this.executions.size + this.waiting.claiming < this.parts.slots && !this.stopping.signal.aborted;
  }

  private async claimRun(run: Run): Promise<boolean> {
    const { runs, leases, connections, states, logger } = this.parts;
    const [state, isBlocked] = await Promise.all([
      connections.stateOf(connectionOf(run)),
      run.state === 'WAITING' && runs.isBlocked(run, new Date()),
    ]);
    if (state !== 'ACTIVE') {
      await runs.change(run, setAside(run, state));
      await states.resumeIfActive(connectionOf(run));
      return false;
    }
    if (isBlocked) return false;
    const lease = await leases.acquire(run, run.id, this.owner);
    if (lease === undefined) return false;
    const begun = await runs.start(run, lease.epoch, new Date());
    if (begun === undefined) {
      await leases.release(lease);
      return false;
    }
    logger.info(
      { ...subject(begun), epoch: lease.epoch, attempt: begun.attempts },
      run.state === 'RUNNING' ? 'run taken over' : 'run started',
    );
    if (begun.barren.attempts >= MAX_BARREN_ATTEMPTS) {
      await this.abandon(begun, lease);
      return false;
    }
    this.launch(begun, lease);
    return true;
  }

  /** Ends a run that takes its worker down, each time, where others would go on with it for ever. */
  private async abandon(run: Run, lease: OwnedLease): Promise<void> {
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
    await this.parts.leases.release(lease);
  }

  private launch(run: Run, lease: OwnedLease): void {
    const keeper = new LeaseKeeper(this.parts.leases, lease, this.parts.leaseMs, this.parts.logger);
    const execution = new RunExecution(this.parts, run, toLeaseMessage(lease), keeper.signal);
    this.executions.set(run.id, execution);
    const work = this.carry(run, execution, keeper)
      .catch((error: unknown) =>
        this.parts.logger.error({ ...subject(run), error }, 'a run was left to the next worker'),
      )
      .finally(() => {
        this.executions.delete(run.id);
        this.work.delete(work);
        this.waiting.ended(run);
        this.go();
      });
    this.work.add(work);
  }

  private async carry(run: Run, execution: RunExecution, keeper: LeaseKeeper): Promise<void> {
    const { runs, cadences } = this.parts;
    try {
      // Nothing that the work does first waits for them; they are there before its end is.
      const told = Promise.all([runs.supersede(run, new Date()), cadences.started(run)]);
      told.catch(() => undefined);
      const { outcome, unwritten, effort } = await execution.execute();
      await told;
      const patch = settlement({ ...run, effort }, outcome, new Date());
      this.log(run, outcome, patch);
      if (patch !== undefined) await this.settle(run, { ...unwritten, ...patch }, outcome, keeper.signal);
    } finally {
      await keeper.release();
    }
  }

  /** Writes what became of the run. Should the lease run out first, the next worker finds it out from the store. */
  private async settle(run: Run, patch: RunPatch, outcome: RunOutcome, lost: AbortSignal): Promise<void> {
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

/** What becomes of a run whose connection does not sync. */
function setAside({ request }: Run, state: ConnectionState | undefined): RunPatch {
  const isDeleted = state === undefined || state === 'DELETING';
  if (isDeleted || request === 'CANCEL') {
    const note = isDeleted ? 'the connection is deleted' : undefined;
    return { state: 'CANCELLED', endTime: new Date(), request: undefined, note };
  }
  return { state: 'PAUSED', request: undefined, note: 'the connection is paused' };
}

function subject({ id, tenantId, connectionId, model, kind }: Run): object {
  return { run: id, tenant: tenantId, connection: connectionId, model, kind };
}
