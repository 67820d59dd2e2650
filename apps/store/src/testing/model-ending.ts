import { DeleteDecision, SyncKind } from '@tidemark/contracts';
import { expectSame } from './expect-same.js';
import { checkHistory, checkMemory } from './model-history.js';
import { checkLog, checkWatcher } from './model-log-checks.js';
import { contentOf, readRecords } from './model-readers.js';
import { cutTo } from './model-scope.js';
import type { ModelWorld } from './model-world.js';
import type { ModelWriter } from './model-writer.js';

/** More than a source has records. */
const WHOLE = 100;

/** Lets every run end and everyone read, and proves that all of them know what the sources hold. */
export async function verify(world: ModelWorld): Promise<void> {
  const { stores, scope } = world;
  for (const source of world.sources.values()) {
    source.readAll();
    source.pageSize = WHOLE;
  }
  // Snapshots last: until their ends, what the others miss shows.
  for (const writer of world.writers.toSorted((a, b) => b.kind - a.kind)) await endRun(world, writer);
  stores.disarm();
  const { harness } = await stores.living(0);
  await stores.living(1);
  await stores.settle();
  await world.wakeStalled(0);
  while (scope.pending) await scope.apply(harness);
  for (const writer of world.writers.filter(
    ({ kind, model }) => kind === SyncKind.FULL && isUsed(world, model),
  ))
    await checkSnapshot(world, writer);
  await world.read(0, 0);
  const stored = await checkLog(world);
  await checkWatcher(world, stored);
  await checkHistory(world, harness, stored);
  for (const memory of world.memories) await checkMemory(harness, scope, memory);
}

function isUsed({ writers }: ModelWorld, model: string): boolean {
  return writers.some((writer) => writer.model === model && writer.began > 0);
}

/** Lets a running writer go on to its run's end, over crashes; a snapshot that is still being read is given up. */
async function endRun(world: ModelWorld, writer: ModelWriter): Promise<void> {
  if (writer.kind === SyncKind.FULL && !writer.hold?.atEnd) writer.abandon();
  while (writer.running) await world.runToEnd(writer, 1, DeleteDecision.APPROVED);
}

/** Runs a snapshot from start to end. Approved are deletes that were held before, no others, so that it may take two calls. */
async function runSnapshot(world: ModelWorld, writer: ModelWriter): Promise<void> {
  await world.runToEnd(writer, 0, DeleteDecision.APPROVED);
  await endRun(world, writer);
}

/** Throws unless a full run makes the store equal its source, and another one finds nothing to change. */
async function checkSnapshot(world: ModelWorld, writer: ModelWriter): Promise<void> {
  const { scope, stores } = world;
  const { model, source } = writer;
  await runSnapshot(world, writer);
  const { harness } = await stores.living(0);
  const before = await scope.head();
  const { records } = await readRecords(harness, scope, 'a read', { models: [model], excludeDeleted: true });
  const text = (content: object): string => JSON.stringify(Object.entries(content).sort());
  expectSame(
    `the store's ${model}`,
    new Map(records.map((record) => [record.id, text(contentOf(record))])),
    new Map([...source.live()].map(([id, content]) => [id, text(cutTo(scope.fields(model), content))])),
  );
  if (!scope.narrowedAt.has(model)) return;
  await runSnapshot(world, writer);
  const changed = await world.db.commits.countDocuments({
    ...{ c: world.uid, m: model, f: { $gt: before } },
    'i.0': { $exists: true },
  });
  if (changed > 0) throw new Error(`a full run of ${model} without any news made changes`);
}
