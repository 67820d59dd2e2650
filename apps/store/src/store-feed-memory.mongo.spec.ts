import { SyncKind, WatchStart } from '@tidemark/contracts';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { employee } from './testing/employees.js';
import { follow, type Followed } from './testing/follow.js';
import {
  startStore,
  type StoreHarness,
  type TestRecord,
  type TestRun,
  type TestWriter,
} from './testing/harness.js';
import { newWriter, uidOf } from './testing/writers.js';

let harness: StoreHarness;
/** Another process on the same database. Nobody watches there before all is written, so all that it tells it reads. */
let reading: StoreHarness;

beforeAll(async () => {
  harness = await startStore();
  reading = await startStore(harness.database);
});
afterAll(async () => {
  await reading.stop();
  await harness.stop();
});

const NARROW = { employees: ['id', 'name'] };

/** What happens next. Numbers choose among the connections or watches that there are. */
type Step =
  | { kind: 'commit'; connection: number; ids: number[]; deletes: boolean }
  | { kind: 'burst'; connection: number; pages: number }
  | { kind: 'snapshot'; connection: number; ids: number[] }
  | { kind: 'watch'; connection: number; start: WatchStart }
  | { kind: 'resume'; watch: number }
  | { kind: 'stop'; watch: number };

const index = fc.nat({ max: 7 });
const ids = fc.uniqueArray(index, { minLength: 1 });
const start = fc.constantFrom(WatchStart.FROM_NOW, WatchStart.FROM_OLDEST);
const kind = <K extends Step['kind']>(name: K) => fc.constant(name);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: kind('commit'), connection: index, ids, deletes: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: kind('burst'), connection: index, pages: fc.integer({ min: 2, max: 25 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind('snapshot'), connection: index, ids }) },
  { weight: 3, arbitrary: fc.record({ kind: kind('watch'), connection: index, start }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('resume'), watch: index }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('stop'), watch: index }) },
);

interface SceneWatch {
  readonly connection: number;
  readonly followed: Followed;
  stopped: boolean;
}

/** Two connections with writers, and watches of them that come and go. */
class Scene {
  readonly watches: SceneWatch[] = [];
  #level = 0;
  #count = 2;

  private constructor(
    readonly writers: readonly TestWriter[],
    readonly runs: TestRun[],
  ) {}

  static async open(): Promise<Scene> {
    const writers = [await newWriter(harness), await newWriter(harness)];
    return new Scene(
      writers,
      await Promise.all(writers.map((writer) => writer.begin('employees', 'run-1', SyncKind.DELTA))),
    );
  }

  async take(next: Step): Promise<void> {
    switch (next.kind) {
      case 'commit':
        return this.commit(next.connection, next.ids, next.deletes);
      case 'burst':
        for (let page = 0; page < next.pages; page++) await this.commit(next.connection, [page % 8], false);
        return;
      case 'snapshot':
        return this.#snapshot(next.connection % 2, next.ids);
      case 'watch':
        return this.watch(next.connection % 2, { start: next.start });
      case 'resume': {
        const before = this.watches[next.watch];
        const cursor = before?.followed.responses.at(-1)?.cursor;
        return before && cursor ? this.watch(before.connection, { cursors: [cursor] }) : undefined;
      }
      case 'stop':
        return this.#stop(this.watches[next.watch]);
    }
  }

  async commit(connection: number, chosen: readonly number[], deletes: boolean): Promise<void> {
    const level = ++this.#level;
    const page = chosen.map((id): TestRecord => {
      return deletes && id % 2 === 0 ? [`e${id}`, null] : employee(`e${id}`, level);
    });
    await this.#of(this.runs, connection).page(page);
  }

  async #snapshot(connection: number, chosen: readonly number[]): Promise<void> {
    const writer = this.#of(this.writers, connection);
    const page = chosen.map((id) => employee(`e${id}`, this.#level));
    await writer.full('employees', `full-${this.#count++}`, page);
    this.runs[connection] = await writer.begin('employees', `run-${this.#count++}`, SyncKind.DELTA);
  }

  watch(connection: number, request: Parameters<typeof follow>[1]): void {
    const connectionIds = [this.#of(this.writers, connection).connectionId];
    const followed = follow(harness, { connectionIds, ...request });
    this.watches.push({ connection, followed, stopped: false });
  }

  /** Each watch has told what one by queries tells, without gaps, and to the end unless it was stopped before. */
  async check(): Promise<void> {
    const open = this.watches.filter(({ stopped }) => !stopped);
    for (const { followed } of open) await followed.until(() => followed.responses.length > 0);
    for (const [connection, writer] of this.writers.entries()) {
      await this.commit(connection, [0], false);
      const head = await headOf(writer);
      const expected = await allChanges(writer, head);
      for (const watch of this.watches.filter((each) => each.connection === connection)) {
        const { followed } = watch;
        if (!watch.stopped) await followed.until(() => sequencesOf(followed).at(-1) === head);
        await this.#stop(watch);
        const [first] = sequencesOf(followed);
        const from = expected.findIndex(({ record }) => Number(record?.sequence) === first);
        const told = followed.changes();
        expect(told).toEqual(from < 0 ? [] : expected.slice(from, from + told.length));
      }
    }
  }

  async #stop(watch: SceneWatch | undefined): Promise<void> {
    if (watch === undefined) return;
    watch.stopped = true;
    await watch.followed.stop();
  }

  #of<T>(items: readonly T[], number: number): T {
    return items[number % items.length] as T;
  }
}

const sequencesOf = (followed: Followed) => followed.changes().map(({ record }) => Number(record?.sequence));

async function headOf(writer: TestWriter): Promise<number> {
  return (await harness.db.clocks.findOne({ _id: await uidOf(writer) }))?.seq ?? 0;
}

/** All changes of a connection up to a sequence, which is that of a change, as the process that reads them tells them. */
async function allChanges({ connectionId }: TestWriter, head: number) {
  const followed = follow(reading, { connectionIds: [connectionId], start: WatchStart.FROM_OLDEST });
  await followed.until(() => sequencesOf(followed).at(-1) === head);
  await followed.stop();
  return followed.changes();
}

describe('watches from memory', () => {
  it('tell what watches by queries tell', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        const scene = await Scene.open();
        for (const each of steps) await scene.take(each);
        await scene.check();
      }),
      { numRuns: 12 },
    );
  });

  it('tell nothing out of scope once a purge is over, and what is left to the end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 3, maxLength: 10 }),
        fc.array(ids, { minLength: 1, maxLength: 5 }),
        async (steps, more) => {
          const scene = await Scene.open();
          for (const each of steps) await scene.take(each);
          const [writer] = scene.writers as [TestWriter];
          for (let i = 0; i < 2; i++) scene.watch(0, { start: WatchStart.FROM_OLDEST });
          await scene.commit(0, [1], false);
          await writer.open(NARROW, 2n);
          const head = await headOf(writer);
          scene.watch(0, { start: WatchStart.FROM_OLDEST });
          await writer.purge();
          const run = await writer.begin('employees', 'run-2', SyncKind.DELTA);
          for (const [i, page] of more.entries())
            await run.page(page.map((id): TestRecord => [`e${id}`, { id: `e${id}`, name: `m-${i}` }]));
          scene.watch(0, { start: WatchStart.FROM_OLDEST });
          const end = await headOf(writer);
          const expected = await allChanges(writer, end);
          expect(expected.filter(hasLevel)).toEqual([]);
          const [early, late] = [scene.watches.at(-2), scene.watches.at(-1)];
          for (const { followed } of scene.watches.slice(-4)) {
            await followed.until(() => sequencesOf(followed).at(-1) === end);
            expect(sequencesOf(followed)).toEqual(expected.map(({ record }) => Number(record?.sequence)));
            expect(
              followed
                .changes()
                .filter((change) => Number(change.record?.sequence) > head && hasLevel(change)),
            ).toEqual([]);
          }
          expect(early?.followed.changes().filter(hasLevel)).toEqual([]);
          expect(late?.followed.changes()).toEqual(expected);
          for (const { followed } of scene.watches) await followed.stop();
        },
      ),
      { numRuns: 6 },
    );
  });
});

function hasLevel({ record }: ReturnType<Followed['changes']>[number]): boolean {
  return Buffer.from(record?.data ?? '').includes('"level"');
}
