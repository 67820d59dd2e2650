import { expect } from '@jest/globals';
import { SyncKind, SyncRunState, type SyncRun } from '@tidemark/contracts';
import type { LivingRecord } from '../chaos/change-watch.js';
import { until } from '../world.js';
import type { FaultCase } from './fault-cases.js';
import { MODEL, type Mirror } from './mirror.js';

/** Records of the source when a run begins. */
export const RECORDS = 50;
export const PAGE_SIZE = 10;
/** Five of records, and the empty one by which the source ends. */
export const PAGES = RECORDS / PAGE_SIZE + 1;
/** So many changes make a delta as many pages. */
const EDITS = { FULL: 3, DELTA: 39 };

/** Lets one kind of fault strike one mirror at every page in turn, and sees that nothing is deleted that the source still has. */
export class Ordeal {
  /** Records that the source has lost; they never come back. */
  readonly #lost = new Set<string>();
  /** Runs that must not delete. */
  readonly #harmless = new Set<string>();
  readonly #kind: SyncKind;

  /** `attend` sees a run that is struck through, and gives it back as it settles. */
  constructor(
    readonly mirror: Mirror,
    readonly given: FaultCase,
    readonly sync: 'FULL' | 'DELTA',
    readonly attend: (runId: string) => Promise<SyncRun> = (id) => mirror.settled(id),
  ) {
    this.#kind = SyncKind[sync];
  }

  async run(): Promise<void> {
    for (const page of this.given.pages ?? Array.from({ length: PAGES }, (_, index) => index)) {
      try {
        await this.#strikeAt(page);
      } catch (error) {
        throw new Error(`page ${page}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      }
    }
    if (this.sync === 'DELTA') await this.#expectNextFull();
    await this.#expectTrueDeletes();
  }

  async #strikeAt(page: number): Promise<void> {
    const { mirror, given, sync } = this;
    const { source } = mirror;
    const before = await mirror.stored();
    const loses = await this.#stir(page);
    await source.fail({ ...given.fault, sync, page, loses });
    loses.forEach((id) => this.#lost.add(id));
    const run = await this.#struck(await mirror.ask(this.#kind));
    if (given.fault.times === 0) await source.fail();
    expect(await source.faults()).toEqual([]);
    await this.#judge(run, page);
    await this.#expectNoneMissing(before);

    await this.#lose([...(await mirror.truth()).keys()].slice(15, 16));
    if (sync === 'DELTA') await this.#expectNextDelta(page);
    else await this.#expectNextFull();
  }

  /** Lets the source change before a run; gives back the records that it is to lose while the run is on. */
  async #stir(page: number): Promise<string[]> {
    const live = [...(await this.mirror.truth()).keys()];
    const [doomed, losing] = [
      [live[3] ?? '', live[27] ?? ''],
      [live[7] ?? '', live[44] ?? ''],
    ];
    const missing = RECORDS + doomed.length - live.length;
    const put = live.filter((_, index) => index % 9 === 1).slice(0, missing);
    const edited = live.filter((id) => !doomed.includes(id)).slice(-EDITS[this.sync]);
    await this.mirror.source.change(MODEL, [
      ...edited.map((id) => ({ id })),
      ...put.map((id) => ({ id: `${id}.${page}`, fields: { text: 'new' } })),
    ]);
    await this.#lose(doomed);
    return losing;
  }

  async #lose(ids: readonly string[]): Promise<void> {
    ids.forEach((id) => this.#lost.add(id));
    await this.mirror.source.change(
      MODEL,
      ids.map((id) => ({ id, deleted: true })),
    );
  }

  async #struck(runId: string): Promise<SyncRun> {
    const { mirror, given } = this;
    if (given.ending.ends !== 'PAUSED') return this.attend(runId);
    await until(async () => (await mirror.source.faults()).length === 0);
    await mirror.pause(runId);
    expect((await mirror.settled(runId)).state).toBe(SyncRunState.PAUSED);
    await mirror.resume(runId);
    return mirror.settled(runId);
  }

  /** Sees that a struck run ended as it should have. */
  async #judge(run: SyncRun, page: number): Promise<void> {
    const { ending } = this.given;
    const { retries = 0, waits = 0, pauses = 0 } = run.effort ?? {};
    switch (ending.ends) {
      case 'RETRIED':
        expect(retries).toBeGreaterThan(0);
        return this.#expectComplete(run);
      case 'WAITED':
        expect(waits).toBeGreaterThan(0);
        return this.#expectComplete(run);
      case 'PAUSED':
        expect(pauses).toBe(1);
        return this.#expectComplete(run);
      case 'UNCERTIFIED':
        return this.#expectUncertified(run, ending.failure);
      case 'DECEIVED':
        return this.#expectDeceived(run, page);
      case 'FAILED':
        return this.#expectFailed(run, ending.reason, ending.standing ?? false);
    }
  }

  #expectComplete(run: SyncRun): void {
    expectState(run, SyncRunState.SUCCEEDED);
    if (this.sync === 'FULL') expect(run.certificate).toMatchObject({ certified: true, failures: [] });
  }

  #expectUncertified(run: SyncRun, failure: RegExp): void {
    expectState(run, SyncRunState.SUCCEEDED);
    if (this.sync === 'DELTA') return;
    expect(run.certificate).toMatchObject({ certified: false, failures: [expect.stringMatching(failure)] });
    this.#expectHarmless(run);
  }

  async #expectDeceived(run: SyncRun, page: number): Promise<void> {
    // A delta deletes only what its source names; and on its last page a source that says that this is all does not lie.
    if (this.sync === 'DELTA' || page === PAGES - 1) return this.#expectComplete(run);
    expectState(run, SyncRunState.HELD);
    expect(Number(run.heldDeletes)).toBeGreaterThan(0);
    await this.mirror.discard(run.id);
    const discarded = await this.mirror.settled(run.id);
    expectState(discarded, SyncRunState.SUCCEEDED);
    this.#expectHarmless(discarded);
  }

  async #expectFailed(run: SyncRun, reason: string, standing: boolean): Promise<void> {
    expectState(run, SyncRunState.FAILED);
    expect(run.error).toMatchObject({ reason, message: expect.stringMatching(/./) });
    if (this.sync === 'FULL') this.#expectHarmless(run);
    const stands = await this.mirror.standing();
    if (!standing) return expect(stands).toBeUndefined();
    expect(stands).toMatch(/^NEEDS_ATTENTION: ./);
    await this.mirror.resumeConnection();
  }

  #expectHarmless(run: SyncRun): void {
    expect(run.counters?.deleted).toBe(0n);
    this.#harmless.add(run.id);
  }

  /** What the store had and the source still has, the store has to have still. */
  async #expectNoneMissing(before: ReadonlyMap<string, LivingRecord>): Promise<void> {
    const [truth, after] = [await this.mirror.truth(), await this.mirror.stored()];
    expect([...before.keys()].filter((id) => truth.has(id) && !after.has(id))).toEqual([]);
  }

  /**
   * The delta after a struck one brings all that is missing. Where that was told that there was no more, only a full sync does; but the
   * first time that this has to mend something, deltas learn from it to read further back.
   */
  async #expectNextDelta(page: number): Promise<void> {
    const { mirror, given } = this;
    expectState(await mirror.run(SyncKind.DELTA), SyncRunState.SUCCEEDED);
    const isDeceived = given.fault.kind === 'cutShort' && page === 0;
    if (isDeceived) return this.#expectNextFull(isDeceived);
    expect(await mirror.stored()).toEqual(await mirror.truth());
  }

  /** The next full sync deletes exactly what the source has lost; after deltas it finds nothing to mend but what they were lied about. */
  async #expectNextFull(isMending = false): Promise<void> {
    const { mirror, sync } = this;
    const [truth, before] = [await mirror.truth(), await mirror.stored()];
    const full = await mirror.run(SyncKind.FULL);
    expectState(full, SyncRunState.SUCCEEDED);
    expect(full.certificate).toMatchObject({ certified: true, failures: [] });
    expect(Number(full.counters?.deleted)).toBe([...before.keys()].filter((id) => !truth.has(id)).length);
    expect(await mirror.stored()).toEqual(truth);
    if (sync === 'FULL') return;
    const { created = 0n, updated = 0n, deleted = 0n } = full.discrepancies ?? {};
    expect(created + updated + deleted > 0n).toBe(isMending);
  }

  /** Each record that the source lost was deleted once, no other one ever, and no run deleted that must not. */
  async #expectTrueDeletes(): Promise<void> {
    const { watch } = this.mirror;
    await this.mirror.settle();
    expect(watch.faults).toEqual([]);
    expect(watch.states).toEqual(await this.mirror.truth());
    expect(watch.deletes.map(({ id }) => id).sort()).toEqual([...this.#lost].sort());
    expect(watch.deletes.filter(({ runId }) => this.#harmless.has(runId))).toEqual([]);
  }
}

function expectState(run: SyncRun, state: SyncRunState): void {
  const { summary: told } = run;
  expect({ state: SyncRunState[run.state], told }).toEqual({ state: SyncRunState[state], told });
}
