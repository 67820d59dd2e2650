import fc from 'fast-check';

/** One blow to a member of the cluster. */
export interface Fault {
  readonly member: string;
  /** Killed and started again, or made to stand still and go on. */
  readonly kind: 'kill' | 'freeze';
  /** After the round's start, in milliseconds. */
  readonly atMs: number;
  /** How long the member is away, in milliseconds. */
  readonly forMs: number;
}

/** What the faults are drawn from. */
export interface FaultRange {
  readonly mortal: readonly string[];
  readonly freezable: readonly string[];
  readonly leaseMs: number;
  /** Faults begin within so many milliseconds. */
  readonly withinMs: number;
}

const LONGEST_AWAY_MS = 500;
/** How much longer than the lease a member stands still at most. */
const LONGEST_OVERDUE_MS = 1_000;
const MOST_FAULTS = 3;

/** The faults of each round, the same for the same seed: one to three, each of another member. */
export function planFaults(range: FaultRange, seed: number, rounds: number): Fault[][] {
  const atMs = fc.integer({ min: 0, max: range.withinMs });
  const kill = fc.record({
    member: fc.constantFrom(...range.mortal),
    kind: fc.constant('kill' as const),
    atMs,
    forMs: fc.integer({ min: 0, max: LONGEST_AWAY_MS }),
  });
  const freeze = fc.record({
    member: fc.constantFrom(...range.freezable),
    kind: fc.constant('freeze' as const),
    atMs,
    forMs: fc.integer({ min: range.leaseMs + 100, max: range.leaseMs + LONGEST_OVERDUE_MS }),
  });
  const fault = fc.oneof({ weight: 2, arbitrary: kill }, { weight: 1, arbitrary: freeze });
  const faults = fc.uniqueArray(fault, {
    minLength: 1,
    maxLength: MOST_FAULTS,
    selector: ({ member }) => member,
  });
  // Without its bias towards small values, which are to make counterexamples short.
  return fc.sample(fc.noBias(faults), { seed, numRuns: rounds });
}

/** Faults as a person reads them. */
export function describeFaults(faults: readonly Fault[]): string {
  return faults
    .map(({ member, kind, atMs, forMs }) => `${kind} ${member} at ${atMs} for ${forMs}`)
    .join(', ');
}
