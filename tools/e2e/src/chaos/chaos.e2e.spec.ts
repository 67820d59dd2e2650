import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SyncKind, SyncRunState, type SyncRun } from '@tidemark/contracts';
import { Chaos } from './chaos.js';
import { IS_LONG } from '../long.js';
import { describeFaults, planFaults } from './fault-plan.js';
import { LEASE_SECONDS } from './members.js';

// Processes are killed and stand still beyond their leases at any moment, while a source changes all the time under deltas and full
// syncs: whatever was struck, the store ends up as the source is, and no change is lost, told twice or undone.

const { TIDEMARK_RUNS, TIDEMARK_SEED } = process.env;
/** A round takes about six seconds. */
const SOME_ROUNDS = 20;
const ROUNDS = Number(TIDEMARK_RUNS ?? (IS_LONG ? 200 : SOME_ROUNDS));
const SEED = Number(TIDEMARK_SEED ?? Math.floor(Math.random() * 2 ** 31));

const FREEZABLE = ['scheduler-1', 'scheduler-2', 'store-1', 'store-2'];
const RANGE = {
  mortal: [...FREEZABLE, 'living', 'gateway'],
  freezable: FREEZABLE,
  leaseMs: LEASE_SECONDS * 1_000,
  withinMs: 1_500,
};
const rounds = planFaults(RANGE, SEED, ROUNDS).map((faults, index) => ({
  number: index + 1,
  faults,
  told: describeFaults(faults),
}));

let chaos: Chaos;
/** The round that is under way, or went wrong. */
let open: number | undefined;

beforeAll(async () => {
  say(`${ROUNDS} rounds, seed ${SEED}; repeat with TIDEMARK_SEED=${SEED}`);
  chaos = await Chaos.start();
}, 120_000);

afterAll(async () => {
  say(summary());
  await chaos.stop();
}, 60_000);

describe('a mirror whose processes are struck', () => {
  it.each(rounds)(
    'loses, repeats and undoes nothing: round $number, $told',
    async ({ number, faults }) => {
      if (open !== undefined) throw new Error(`round ${open} went wrong before`);
      open = number;
      await chaos.stir(SEED + number);
      const began = await chaos.ask(SyncKind.FULL);
      await chaos.strike(faults);
      const truth = await chaos.calm();

      const delta = await chaos.end(await chaos.ask(SyncKind.DELTA));
      const struck = await chaos.end(began);
      const full = await chaos.end(await chaos.ask(SyncKind.FULL));
      for (const run of [struck, delta, full]) expectSucceeded(run);
      // The source stood still since the delta, which has brought all.
      expect(full.discrepancies).toMatchObject({ created: 0n, updated: 0n, deleted: 0n });
      expect(await chaos.witness.stored()).toEqual(truth);

      for (const run of await chaos.endAll()) expectSucceeded(run);
      await chaos.witness.expectTrue(truth);
      open = undefined;
    },
    120_000,
  );

  // Late arrivals are a judgement on a source, and this one tells of everything in time.
  it('are not taken for a source that tells late', () => {
    expect(lateArrivals()).toBe(0);
  });
});

/** It ended well, and what it went through adds up. */
function expectSucceeded(run: SyncRun): void {
  const { kind, state, summary: told, certificate, attempts, effort } = run;
  expect({ kind, state, told }).toEqual({ kind, state: SyncRunState.SUCCEEDED, told });
  if (kind === SyncKind.FULL) expect(certificate).toMatchObject({ certified: true, uniqueIds: true });
  const { takeovers = 0, retries = 0, yields = 0 } = effort ?? {};
  expect(attempts).toBe(1 + takeovers + retries + yields);
}

/** Changes that deltas were found to have come too late for, all in all. */
function lateArrivals(): number {
  return [...chaos.ended.values()].reduce((sum, run) => sum + Number(run.lateArrivals?.count ?? 0n), 0);
}

function summary(): string {
  const { log, watch } = chaos.witness;
  const runs = [...chaos.ended.values()];
  const sum = (of: 'takeovers' | 'retries' | 'yields') =>
    runs.reduce((total, { effort }) => total + (effort?.[of] ?? 0), 0);
  return (
    `${runs.length} runs with ${sum('takeovers')} take-overs, ${sum('retries')} retries and ${sum('yields')} yields; ` +
    `${log.changes} changes, ${lateArrivals()} of them late; the watch broke ${watch.breaks} times`
  );
}

function say(line: string): void {
  process.stdout.write(`chaos: ${line}\n`);
}
