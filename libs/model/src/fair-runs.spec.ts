import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FairRuns, PRIORITY_WORTH_MS, type RunLimits, type SharingRun } from './fair-runs.js';

const LIMITS: RunLimits = { perTenant: 3, perConnector: 5 };
const NOW = new Date('2026-03-01T12:00:00Z');
let made = 0;
const run = (tenantId: string, connectionId: string, more: Partial<SharingRun> = {}): SharingRun => ({
  ...{ id: String(made++).padStart(6, '0'), tenantId, connectionId, connector: 'file', priority: 0 },
  createTime: NOW,
  ...more,
});

/** Starts as many as there are slots, all that are given out. */
function start(
  waiting: SharingRun[],
  running: SharingRun[],
  slots: number,
  limits = LIMITS,
  served = new Map<string, number>(),
): SharingRun[] {
  const fair = new FairRuns(waiting, running, limits, served);
  const started: SharingRun[] = [];
  while (running.length + started.length < slots) {
    const next = fair.next();
    if (next === undefined) break;
    fair.started(next);
    started.push(next);
  }
  return started;
}

describe('waiting runs', () => {
  test('of one tenant go by priority, then age', () => {
    const [a, b, c] = [run('t', 'a'), run('t', 'b', { priority: 3 }), run('t', 'c', { priority: 3 })];
    expect(start([c, a, b], [], 9)).toEqual([b, c, a]);
  });

  test('that have waited long enough go before fresh ones of a higher priority', () => {
    const since = (ms: number) => ({ createTime: new Date(NOW.getTime() - ms) });
    const delta = run('t', 'a', { priority: 3 });
    const full = run('t', 'b', since(3 * PRIORITY_WORTH_MS + 1));
    expect(start([delta, full], [], 9)).toEqual([full, delta]);
    expect(start([delta, { ...full, ...since(3 * PRIORITY_WORTH_MS - 1) }], [], 1)).toEqual([delta]);
  });

  test.each([0, 3, 6])('come to their turn, however many of priority %i keep coming', (priority) => {
    const full = run('t', 'full');
    const second = (count: number) => new Date(NOW.getTime() + count * 1_000);
    let waiting: SharingRun[] = [full];
    let now = 0;
    // Each second twice as many come as can be run.
    for (; waiting.includes(full) && now < 1_000; now++) {
      const more = [0, 1].map((i) => run('t', `c${now}-${i}`, { priority, createTime: second(now) }));
      waiting.push(...more);
      const started = start(waiting, [], 1);
      waiting = waiting.filter((each) => !started.includes(each));
    }
    // Those that came within the time that their priority is worth go first, half as fast as they came.
    expect(now).toBeLessThanOrEqual((2 * priority * PRIORITY_WORTH_MS) / 1_000 + 1);
  });

  test('of several tenants take turns, whatever their priorities', () => {
    const many = Array.from({ length: 5 }, (_, i) => run('big', `c${i}`, { priority: 3 }));
    const one = run('small', 'only');
    expect(start([...many, one], [], 2)).toEqual([many[0], one]);
    expect(start([...many, one], many.slice(0, 1), 2)).toEqual([one]);
  });

  test('stay within the limits of tenants and connectors, and one for each connection', () => {
    const many = Array.from({ length: 9 }, (_, i) => run('a', `c${i}`));
    expect(start(many, [], 9)).toEqual(many.slice(0, 3));
    const spread = Array.from({ length: 9 }, (_, i) => run(`t${i}`, 'c'));
    expect(start(spread, [], 9)).toHaveLength(5);
    const other = run('t9', 'c', { connector: 'http' });
    expect(start([...spread, other], [], 9)).toContain(other);
    expect(start([run('a', 'x'), run('a', 'x')], [], 9)).toHaveLength(1);
  });

  test('that cannot start do not count', () => {
    const fair = new FairRuns(
      [run('a', 'x'), run('a', 'x'), run('a', 'y')],
      [],
      { ...LIMITS, perTenant: 1 },
      new Map(),
    );
    expect([fair.next(), fair.next()].map((each) => each?.connectionId)).toEqual(['x', 'x']);
    const third = fair.next();
    if (third) fair.started(third);
    expect([third?.connectionId, fair.next()]).toEqual(['y', undefined]);
  });

  test('that had no room start once others have ended', () => {
    const [a, b, c] = [run('t', 'a'), run('t', 'a'), run('t', 'b')];
    const fair = new FairRuns([a, b, c], [], { ...LIMITS, perTenant: 1 }, new Map());
    const started: (string | undefined)[] = [];
    for (let next = fair.next(); next !== undefined; next = fair.next()) {
      fair.started(next);
      expect(fair.next()).toBeUndefined();
      fair.ended(next);
      started.push(next.id);
    }
    expect(started).toEqual([a.id, b.id, c.id]);
  });

  test('take up their place from when they are tried, and are served once they run', () => {
    const [a, b, c] = [run('s', 'a'), run('s', 'b'), run('t', 'c')];
    const served = new Map<string, number>();
    const fair = new FairRuns([a, b, c], [], { ...LIMITS, perTenant: 1 }, served);
    expect(fair.next()).toBe(a);
    fair.trying(a);
    expect([fair.next(), served.size]).toEqual([c, 0]);
    fair.started(a);
    expect(served.get('s')).toBe(1);
    fair.ended(a);
    expect(fair.next()).toBe(b);
  });

  test('a tenant with 1,000 delays the single one of another by one run at most', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 16 }), fc.nat(1_000), fc.nat(5), (slots, backlog, priority) => {
        const limits = { perTenant: 16, perConnector: 16 };
        const many = Array.from({ length: backlog }, (_, i) => run('big', `c${i}`, { priority }));
        const served = new Map<string, number>();
        let running = start(many, [], slots, limits, served);
        let waiting: SharingRun[] = many.filter((each) => !running.includes(each));
        const single = run('small', 'only');
        waiting.push(single);
        // One run ends: the slot is the small tenant's.
        const full = running.length === slots;
        if (full) running = running.slice(1);
        const next = start(waiting, running, slots, limits, served);
        expect(next[0]).toBe(single);
        waiting = waiting.filter((each) => !next.includes(each));
        expect(waiting).not.toContain(single);
      }),
    );
  });
});
