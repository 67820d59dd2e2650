import { SyncKind, type CommitPageResponse } from '@tidemark/contracts';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { MongoPagePlanner } from './mongo-page-planner.js';
import { employee, many } from './testing/employees.js';
import { expectWhole } from './testing/exact-store.js';
import {
  startStore,
  TestWriter,
  type StoreHarness,
  type TestRecord,
  type TestRun,
} from './testing/harness.js';
import { holdNextWrite } from './testing/held-writes.js';
import { newWriter } from './testing/writers.js';

const SIZE = 250;

let harness: StoreHarness;
/** Another process on the same database. */
let second: StoreHarness;

beforeAll(async () => {
  harness = await startStore();
  second = await startStore(harness.database);
});
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(async () => {
  await second.stop();
  await harness.stop();
});

const page = (number: number, level = 1): TestRecord[] =>
  many(SIZE * (number + 1), level).slice(number * SIZE);

/** Has the next write wait, until the page after it is planned and `meanwhile` is done. */
function hold(meanwhile: () => Promise<unknown>): { done: Promise<unknown> } {
  const held: { done: Promise<unknown> } = { done: Promise.resolve() };
  holdNextWrite(() => {
    held.done = new Promise<void>((resolve) => {
      jest.spyOn(MongoPagePlanner.prototype, 'plan').mockImplementationOnce(async function (
        this: MongoPagePlanner,
        ...of
      ) {
        const outcome = await this.plan(...of);
        resolve();
        return outcome;
      });
    }).then(meanwhile);
    return held.done;
  });
  return held;
}

/** Sends pages at a time, without waiting for the answers in between. */
function send(run: TestRun, ...pages: TestRecord[][]): Promise<CommitPageResponse[]> {
  return Promise.all(
    pages.map((each, index) => harness.writing.commitPage(run.message(each, BigInt(index)))),
  );
}

const counted = (response: CommitPageResponse | undefined) =>
  Object.fromEntries(
    Object.entries(response?.counters ?? {}).filter(([, value]) => typeof value === 'bigint' && value > 0n),
  );

async function deltaElsewhere(writer: TestWriter, records: TestRecord[]): Promise<void> {
  const elsewhere = new TestWriter(second, writer.connectionId);
  const delta = await elsewhere.begin('employees', 'delta', SyncKind.DELTA);
  await delta.page(records);
}

describe('pages of a snapshot that overlap', () => {
  it('are as if they came one after the other', async () => {
    const writer = await newWriter(harness);
    const run = await writer.begin('employees', 'run-1');
    const held = hold(async () => undefined);
    const answers = await send(run, page(0), page(1));
    await held.done;
    expect(answers.map(counted)).toEqual([
      { pages: 1n, read: 250n, created: 250n },
      { pages: 2n, read: 500n, created: 500n },
    ]);
    expect(answers.map(({ lastSequence }) => lastSequence)).toEqual([250n, 500n]);
    expect(await expectWhole(harness, writer.connectionId)).toHaveLength(500);
  });

  it('count right and overwrite nothing newer when another process commits between plan and write', async () => {
    const writer = await newWriter(harness);
    const run = await writer.begin('employees', 'run-1');
    hold(() => deltaElsewhere(writer, [employee('e00005', 9), employee('e00255', 9)]));
    const answers = await send(run, page(0), page(1));
    expect(answers.map(counted)).toEqual([
      { pages: 1n, read: 250n, created: 249n, stale: 1n },
      { pages: 2n, read: 500n, created: 498n, stale: 2n },
    ]);
    const stored = await expectWhole(harness, writer.connectionId);
    expect(stored).toHaveLength(500);
    expect(stored.slice(0, 2).map(({ id }) => id)).toEqual(['e00005', 'e00255']);
  });

  it('count right when only the page before has to be planned again', async () => {
    const writer = await newWriter(harness);
    const run = await writer.begin('employees', 'run-1');
    hold(() => deltaElsewhere(writer, [employee('e00005', 9)]));
    const answers = await send(run, page(0), page(1));
    expect(answers.map(counted)).toEqual([
      { pages: 1n, read: 250n, created: 249n, stale: 1n },
      { pages: 2n, read: 500n, created: 499n, stale: 1n },
    ]);
    expect(await expectWhole(harness, writer.connectionId)).toHaveLength(500);
  });

  it('see a commit that took exactly the sequences that the page before was to take', async () => {
    const writer = await newWriter(harness);
    const run = await writer.begin('employees', 'run-1');
    const delta = many(2 * SIZE, 9).filter((_, index) => index % 2 === 0);
    hold(() => deltaElsewhere(writer, delta));
    const answers = await send(run, page(0), page(1));
    expect(counted(answers[1])).toEqual({ pages: 2n, read: 500n, created: 250n, stale: 250n });
    expect(await expectWhole(harness, writer.connectionId)).toHaveLength(500);
    const { records } = await writer.records();
    const old = records.filter(({ data }) => Buffer.from(data).includes('"level":1'));
    expect(old).toHaveLength(250);
  });

  it('find an id that comes again two pages later', async () => {
    const writer = await newWriter(harness);
    const run = await writer.begin('employees', 'run-1');
    const again: TestRecord[] = [...page(2).slice(1), employee('e00003', 2)];
    const answers = await send(run, page(0), page(1), again);
    expect(counted(answers[2])).toEqual({ pages: 3n, read: 750n, created: 749n, quarantined: 1n });
    const { certificate } = await run.finish();
    expect(certificate).toMatchObject({ certified: false, uniqueIds: false });
  });

  it('end with their lease, whichever of them meets its loss', async () => {
    const writer = await newWriter(harness);
    const run = await writer.begin('employees', 'run-1');
    const elsewhere = new TestWriter(second, writer.connectionId);
    hold(() => elsewhere.begin('employees', 'run-1', SyncKind.FULL, run.lease.epoch + 1n));
    const answers = await Promise.allSettled(
      [0, 1].map((number) => harness.writing.commitPage(run.message(page(number), BigInt(number)))),
    );
    expect(answers).toMatchObject(
      [0, 1].map(() => ({ status: 'rejected', reason: { reason: 'LEASE_LOST' } })),
    );
    expect(await expectWhole(harness, writer.connectionId)).toEqual([]);
  });

  it('of which the first lacks payloads leave the second to be sent again', async () => {
    const writer = await newWriter(harness);
    await writer.full('employees', 'run-0', page(0), page(1));
    const run = await writer.begin('employees', 'run-1');
    run.sendPayloads = false;
    const answers = await Promise.allSettled(
      [page(0, 2), page(1)].map((each, index) =>
        harness.writing.commitPage(run.message(each, BigInt(index))),
      ),
    );
    expect(answers).toMatchObject([
      { status: 'fulfilled', value: { missingPayloads: { length: SIZE } } },
      { status: 'rejected', reason: { reason: 'PAGE_OUT_OF_ORDER' } },
    ]);
  });
});
