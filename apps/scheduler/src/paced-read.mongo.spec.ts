import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ReadRequest, ReadResponse } from '@tidemark/contracts';
import { TidemarkError, type BudgetKind } from '@tidemark/model';
import { createLogger, delay } from '@tidemark/runtime';
import { MongoRateBudgets } from './mongo-rate-budgets.js';
import { PacedReads, type PacedResponse } from './paced-read.js';
import { Pacer } from './pacer.js';
import type { ReadTarget } from './source-targets.js';
import { testControlDatabase } from './testing/control-database.js';

const logger = createLogger({ service: 'test', level: 'error' });
/** One request in 20 ms. */
const QUICK = { requestsPerMinute: 3_000, burst: 2 };
/** No request comes in again while a test runs. */
const SLOW = { requestsPerMinute: 1, burst: 2 };

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let budgets: MongoRateBudgets;
let pacers: Pacer[];
let stop: AbortController;

beforeAll(async () => {
  database = await testControlDatabase();
  budgets = new MongoRateBudgets(database.db);
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.db.budgets.deleteMany({});
  [pacers, stop] = [[], new AbortController()];
});
afterEach(async () => {
  stop.abort();
  await Promise.all(pacers.map((pacer) => pacer.close()));
});

/** A source of so many pages that says when it was asked for each, over a connector that knows bounds or does not. */
class Source {
  readonly asked: number[] = [];
  readonly requested: (number | undefined)[] = [];
  calls = 0;
  pauseMs = 0;
  before: (page: number) => ReadResponse[] = () => [];

  constructor(
    private readonly pages: number,
    private readonly knowsBounds = true,
    private readonly cost = 1,
  ) {}

  async *read(_target: unknown, request: ReadRequest, signal: AbortSignal): AsyncGenerator<ReadResponse> {
    this.calls++;
    this.requested.push(request.maxRequests);
    let made = 0;
    for (let page = request.checkpoint[0] ?? 0; page < this.pages; page++) {
      if (this.knowsBounds && request.maxRequests !== undefined && made >= request.maxRequests) {
        yield { message: { $case: 'more', value: {} } };
        return;
      }
      if (this.pauseMs > 0) await delay(this.pauseMs, signal);
      signal.throwIfAborted();
      yield* this.before(page);
      made += this.cost;
      this.asked.push(performance.now());
      const checkpoint = Uint8Array.of(page + 1);
      yield {
        message: { $case: 'page', value: { records: [], rejected: [], checkpoint, requests: this.cost } },
      };
    }
    const end = { endEvidence: 'end', failures: [], deltaCheckpoint: new Uint8Array(0) };
    yield { message: { $case: 'end', value: end } };
  }
}

const request: ReadRequest = {
  ...{
    settings: undefined,
    model: 'm',
    kind: 1,
    checkpoint: new Uint8Array(0),
    fields: [],
    overlap: undefined,
  },
  ...{ fingerprintKey: new Uint8Array(32), pageRecords: 1, pageBytes: 1 },
};

/** Reads as a process of its own would. */
function read(
  source: Source,
  budget: ReadTarget['account']['budget'],
  id = 'run',
  kind: BudgetKind = 'FULL',
): AsyncGenerator<PacedResponse> {
  const pacer = new Pacer(budgets, logger);
  pacers.push(pacer);
  const account = { id: 'account', ...(budget === undefined ? {} : { budget }) };
  const target = {
    breaker: 'acme/hr',
    connector: 'http',
    settings: { config: new Uint8Array(0), credentials: new Uint8Array(0) },
    account,
  };
  return new PacedReads(source, pacer).read(target, request, { id, kind }, stop.signal);
}

async function all(messages: AsyncGenerator<PacedResponse>): Promise<string[]> {
  const seen: string[] = [];
  for await (const { message } of messages) seen.push(message?.$case ?? '');
  return seen;
}

const pagesOf = (seen: string[]): number => seen.filter((each) => each === 'page').length;

/** The first message of a kind. */
async function until(
  messages: AsyncGenerator<PacedResponse>,
  kind: string,
): Promise<PacedResponse['message']> {
  for (;;) {
    const next = await messages.next();
    if (next.done === true) throw new Error(`no ${kind} came`);
    const { message } = next.value;
    if (message?.$case === kind) return message;
  }
}

describe('a read with a budget', () => {
  test('asks the source for what it was granted, and goes on from there', async () => {
    const source = new Source(6);
    const began = performance.now();
    const seen = await all(read(source, QUICK));
    expect(pagesOf(seen)).toBe(6);
    expect(seen.at(-1)).toBe('end');
    // Four beyond the burst of two, at 20 ms each.
    expect((source.asked.at(-1) ?? 0) - began).toBeGreaterThanOrEqual(4 * 20 - 1);
    expect(source.requested).not.toContain(undefined);
  });

  test('makes two processes share it', async () => {
    const [one, other] = [new Source(5), new Source(5)];
    await Promise.all([all(read(one, QUICK, 'one')), all(read(other, QUICK, 'other'))]);
    const times = [...one.asked, ...other.asked].sort((a, b) => a - b);
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(8 * 20 - 40);
  });

  test('does not read ahead of it, says what it waits for, and ends at once when it is stopped', async () => {
    const source = new Source(9);
    const messages = read(source, SLOW);
    expect(await until(messages, 'hold')).toEqual({
      $case: 'hold',
      value: {
        ms: expect.any(Number),
        note: 'it waits for its budget of 1 requests a minute',
        goesOn: false,
      },
    });
    expect(source.asked).toHaveLength(2);
    const next = messages.next();
    stop.abort();
    await expect(next).rejects.toMatchObject({ name: 'AbortError' });
    expect(source.asked).toHaveLength(2);
    await Promise.all(pacers.map((pacer) => pacer.close()));
    expect((await database.db.budgets.findOne())?.waiters).toEqual([]);
  });

  test('holds a connector that knows no bounds, and charges what it made', async () => {
    const source = new Source(9, false);
    await until(read(source, SLOW), 'hold');
    expect(source.calls).toBe(1);
    expect(source.asked).toHaveLength(2);
    expect((await database.db.budgets.findOne())?.tokens).toBeLessThan(1);
  });

  test('charges what a page took beyond what was granted, and gives back what was not used', async () => {
    await all(read(new Source(1, true, 4), SLOW));
    await Promise.all(pacers.map((pacer) => pacer.close()));
    expect((await database.db.budgets.findOne())?.tokens).toBeCloseTo(-2, 1);
    await database.db.budgets.deleteMany({});
    await all(read(new Source(0), SLOW));
    await Promise.all(pacers.map((pacer) => pacer.close()));
    expect((await database.db.budgets.findOne())?.tokens).toBe(2);
  });

  test('refuses a connector that breaks off without having sent anything', async () => {
    const source = new Source(1);
    source.before = () => [{ message: { $case: 'more', value: {} } }];
    await expect(all(read(source, SLOW))).rejects.toMatchObject({ reason: 'SOURCE_CONTRACT_BROKEN' });
  });
});

describe('what a source asks for', () => {
  const wait = (seconds: bigint): ReadResponse => ({
    message: { $case: 'wait', value: { duration: { seconds, nanos: 0 }, message: '429' } },
  });

  test.each([undefined, { requestsPerMinute: 6_000, burst: 100 }])(
    'holds for every read with its credentials, in other processes too (budget: %j)',
    async (budget) => {
      const source = new Source(5);
      source.before = (page) => (page === 1 ? [wait(30n)] : []);
      const told = read(source, budget, 'told');
      const other = new Source(100);
      other.pauseMs = 50;
      const others = read(other, budget, 'other');
      await until(others, 'page');
      await until(told, 'wait');
      const message = await until(others, 'hold');
      expect(message).toMatchObject({
        value: { note: expect.stringContaining('the source asked all who read') },
      });
      const asked = other.asked.length;
      const next = others.next();
      expect(other.asked).toHaveLength(asked);
      stop.abort();
      await expect(next).rejects.toMatchObject({ name: 'AbortError' });
    },
  );

  test('goes on from the page where it was left', async () => {
    await budgets.block('account', 300);
    const source = new Source(3);
    const began = performance.now();
    const seen = await all(read(source, undefined));
    expect(seen[0]).toBe('hold');
    expect(pagesOf(seen)).toBe(3);
    expect((source.asked[0] ?? 0) - began).toBeGreaterThan(200);
  });

  test('counts when the read fails with it', async () => {
    const source = new Source(1);
    source.before = () => {
      throw new TidemarkError('SOURCE_UNAVAILABLE', 'overloaded', { retryAfterMs: 60_000 });
    };
    await expect(all(read(source, undefined))).rejects.toMatchObject({ reason: 'SOURCE_UNAVAILABLE' });
    expect(await budgets.blockedMs('account')).toBeGreaterThan(30_000);
  });
});
