import type { RejectReasonName } from '@tidemark/model';

/** What one run saw of one record. */
export interface Observation {
  readonly id: string;
  /** 16 bytes; empty when deleted. */
  readonly fingerprint: Uint8Array;
  /** Canonical JSON; undefined when it was not sent along. */
  readonly payload: Uint8Array | undefined;
  readonly deleted: boolean;
}

/** What the store holds of a record, as far as planning needs it. */
export interface StoredState {
  readonly version: number;
  /** Of the last version that an observation made. */
  readonly sequence: number;
  readonly runId: string;
  readonly deleted: boolean;
  readonly fingerprint: Uint8Array | undefined;
}

/** A record's change that a commit shall write. */
export interface PlannedChange {
  readonly observation: Observation;
  readonly operation: 'CREATED' | 'UPDATED' | 'DELETED' | 'RESTORED';
  readonly version: number;
}

/** A record that the store refuses. */
export interface Rejection {
  readonly id: string | undefined;
  readonly position: string;
  readonly reason: RejectReasonName;
  readonly message: string;
}

/** Everything one page does. */
export interface CommitPlan {
  readonly changes: readonly PlannedChange[];
  readonly rejections: readonly Rejection[];
  readonly unchanged: number;
  /** Of the unchanged, those that came again in the snapshot with equal content. */
  readonly repeats: number;
  readonly stale: number;
  /** Indexes of observations that changed but came without payload; if any, nothing is committed. */
  readonly missing: readonly number[];
  /** Ids seen for the first time in this snapshot whose record is live after the commit … */
  readonly seenLive: readonly string[];
  /** … and those that are not. The snapshot held both, so neither is deleted. */
  readonly seenOther: readonly string[];
  /** Ids that a run other than a snapshot saw unchanged, gone ones too: nothing of them is written, yet they were seen. */
  readonly touched: readonly string[];
}

/** What planning a page needs to know. */
export interface PlanContext {
  readonly runId: string;
  /** Whether the run is a snapshot: then an id counts once. */
  readonly snapshot: boolean;
  /** The connection's sequence before the page was read: what others committed later is newer than the page. */
  readonly observedSequence: number;
  readonly stored: (id: string) => StoredState | undefined;
  /** Whether an earlier page of the snapshot held the id. */
  readonly seen: (id: string) => boolean;
  /** Whether another run saw the id unchanged since the snapshot began: what the snapshot read of it may be older. */
  readonly touched: (id: string) => boolean;
}

/** Decides what a page changes. Pure: the same input gives the same plan. */
export function planCommit(
  page: readonly Observation[],
  rejected: readonly Rejection[],
  context: PlanContext,
): CommitPlan {
  const planner = new Planner(context);
  const latest = context.snapshot ? undefined : lastIndexes(page);
  page.forEach((observation, index) => {
    // In a delta the later of two observations of one record counts.
    if (latest === undefined || latest.get(observation.id) === index) planner.observe(observation, index);
  });
  for (const rejection of rejected) planner.reject(rejection);
  return planner.plan;
}

function lastIndexes(page: readonly Observation[]): Map<string, number> {
  return new Map(page.map(({ id }, index) => [id, index]));
}

class Planner {
  readonly #inPage = new Map<string, Observation>();
  readonly plan = {
    changes: [] as PlannedChange[],
    rejections: [] as Rejection[],
    unchanged: 0,
    repeats: 0,
    stale: 0,
    missing: [] as number[],
    seenLive: [] as string[],
    seenOther: [] as string[],
    touched: [] as string[],
  };

  constructor(readonly context: PlanContext) {}

  observe(observation: Observation, index: number): void {
    const { id } = observation;
    const stored = this.context.stored(id);
    if (this.context.snapshot && this.#repeats(observation, stored)) return;
    this.#inPage.set(id, observation);
    if (isUnchanged(observation, stored)) {
      this.plan.unchanged++;
      this.#see(id, !observation.deleted);
      if (!this.context.snapshot) this.plan.touched.push(id);
    } else if (this.#isStale(id, stored)) {
      this.plan.stale++;
      this.#see(id, stored?.deleted === false);
    } else this.#change(observation, stored, index);
  }

  /** Whether another run wrote the record, or saw it as it is, since this one began to read (P5). */
  #isStale(id: string, stored: StoredState | undefined): boolean {
    const { snapshot, observedSequence, runId, touched } = this.context;
    const isWritten = stored !== undefined && stored.sequence > observedSequence && stored.runId !== runId;
    return isWritten || (snapshot && touched(id));
  }

  reject(rejection: Rejection): void {
    this.plan.rejections.push(rejection);
    const { id } = rejection;
    if (id !== undefined && !this.#inPage.has(id) && !this.context.seen(id)) this.#see(id, false);
  }

  #change(observation: Observation, stored: StoredState | undefined, index: number): void {
    if (!observation.deleted && observation.payload === undefined) this.plan.missing.push(index);
    const operation = observation.deleted
      ? 'DELETED'
      : stored === undefined
        ? 'CREATED'
        : stored.deleted
          ? 'RESTORED'
          : 'UPDATED';
    this.plan.changes.push({ observation, operation, version: (stored?.version ?? 0) + 1 });
    this.#see(observation.id, !observation.deleted);
  }

  /** Whether the snapshot held the id before. The first observation stands; a different one is refused. */
  #repeats(observation: Observation, stored: StoredState | undefined): boolean {
    const inPage = this.#inPage.get(observation.id);
    if (inPage === undefined && !this.context.seen(observation.id)) return false;
    const same = inPage
      ? equalBytes(inPage.fingerprint, observation.fingerprint)
      : isUnchanged(observation, stored);
    if (same) {
      this.plan.unchanged++;
      this.plan.repeats++;
    } else {
      const message = 'its id came before in this snapshot, with other content; the first one stands';
      this.plan.rejections.push({ id: observation.id, position: '', reason: 'ID_DUPLICATE', message });
    }
    return true;
  }

  #see(id: string, live: boolean): void {
    if (this.context.snapshot) (live ? this.plan.seenLive : this.plan.seenOther).push(id);
  }
}

function isUnchanged(observation: Observation, stored: StoredState | undefined): boolean {
  if (stored === undefined || stored.deleted) return observation.deleted;
  return (
    !observation.deleted &&
    stored.fingerprint !== undefined &&
    equalBytes(stored.fingerprint, observation.fingerprint)
  );
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
