import { randomUUID } from 'node:crypto';
import { MAX_BARREN_ATTEMPTS, type ConnectionState, type RunLimits } from '@tidemark/model';
import type { Cadences } from './cadences.js';
import { connectionOf } from './connection.js';
import { LeaseKeeper } from './lease-keeper.js';
import type { Leases, OwnedLease } from './leases.js';
import type { Run } from './run.js';
import type { RunPatch } from './runs.js';
import { RunExecution, type ExecutionParts } from './run-execution.js';
import { RunSettling, subject, type SettlingParts } from './run-settling.js';
import { toLeaseMessage } from './store-client.js';
import { WaitingRuns } from './waiting-runs.js';

const LONGEST_POLL_MS = 5_000;

/** What a worker needs. */
export interface WorkerParts extends ExecutionParts, SettlingParts {
  readonly leases: Leases;
  /** As both have it. */
  readonly cadences: Cadences;
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
  private readonly settling: RunSettling;

  constructor(private readonly parts: WorkerParts) {
    this.waiting = new WaitingRuns(parts.runs, parts.limits);
    this.settling = new RunSettling(parts, () => this.poke());
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
      await this.settling.abandon(begun);
      await leases.release(lease);
      return false;
    }
    this.launch(begun, lease);
    return true;
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
      await this.settling.settle({ ...run, effort }, outcome, unwritten, keeper.signal);
    } finally {
      await keeper.release();
    }
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
