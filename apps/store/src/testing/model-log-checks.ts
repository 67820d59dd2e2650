import { setTimeout as sleep } from 'node:timers/promises';
import type { CommitDocument, RecordDocument } from '../mongo-collections.js';
import { expectSame } from './expect-same.js';
import { idOf } from './model-checks.js';
import { line } from './model-readers.js';
import type { ModelWorld } from './model-world.js';

const POLL_MS = 5;

/** What is stored beside payloads: everything is told twice, and has to be the same. */
export interface Stored {
  readonly commits: readonly CommitDocument[];
  readonly records: readonly RecordDocument[];
  /** Sequence of the last change of a record. */
  readonly lastChange: number;
  readonly changes: number;
}

/** Throws unless the log has no gaps and tells the same as records, counts and the watcher; returns what it read. */
export async function checkLog(world: ModelWorld): Promise<Stored> {
  const { db, uid } = world;
  const [commits, records, clock, models, seen] = await Promise.all([
    db.commits.find({ c: uid }).sort({ _id: 1 }).toArray(),
    db.records.find({ c: uid }).toArray(),
    db.clocks.findOne({ _id: uid }),
    db.models.find({ c: uid }).toArray(),
    db.seen.countDocuments({ c: uid }),
  ]);
  const head = checkSequences(commits);
  if (clock?.seq !== head) throw new Error(`the clock says ${String(clock?.seq)}, the log ${head}`);
  expectSame(
    'the log replayed',
    replay(commits),
    new Map(records.map(({ m, _id, v, s, o }) => [`${m}/${idOf(_id)}`, `${v} ${s} ${o}`])),
  );
  for (const { m, live } of models) {
    const counted = records.filter((record) => record.m === m && record.f !== undefined).length;
    if (counted !== live) throw new Error(`${live} live ${m} are counted, there are ${counted}`);
  }
  if (seen > 0) throw new Error(`${seen} pages of seen-keys are left behind`);
  const changed = commits.filter(({ i }) => i.length > 0);
  const changes = changed.reduce((sum, { i }) => sum + i.length, 0);
  return { commits, records, lastChange: changed.at(-1)?._id.n ?? 0, changes };
}

function checkSequences(commits: readonly CommitDocument[]): number {
  let head = 0;
  let at = -1;
  for (const { f, i, _id, at: time } of commits) {
    // An entry without changes is a marker, with a sequence of its own.
    if (f !== head + 1 || _id.n !== head + Math.max(1, i.length))
      throw new Error(`entry ${f} to ${_id.n} of ${i.length} changes follows ${head}`);
    if (time.getTime() <= at) throw new Error(`time went back at ${f}`);
    head = _id.n;
    at = time.getTime();
  }
  return head;
}

function replay(commits: readonly CommitDocument[]): Map<string, string> {
  return new Map(
    commits.flatMap(({ f, m, i, v, o }) =>
      i.map((id, index) => [`${m}/${id}`, `${v[index] ?? 0} ${f + index} ${o.buffer[index] ?? 0}`] as const),
    ),
  );
}

/** Throws unless the watcher was told of every change and marker of the log, once and in order. */
export async function checkWatcher({ watcher }: ModelWorld, stored: Stored): Promise<void> {
  const { commits, records, changes } = stored;
  const marks = commits.filter(({ mark }) => mark !== undefined);
  const isBehind = () => watcher.changes.length < changes || watcher.markers.length < marks.length;
  while (isBehind() && watcher.failures.length === 0) await sleep(POLL_MS);
  await watcher.stop();
  if (watcher.failures.length > 0) throw new Error('the watch failed', { cause: watcher.failures[0] });
  const told = watcher.changes.map(({ record }) => Number(record?.sequence));
  const logged = commits.flatMap(({ f, i }) => i.map((_, index) => f + index));
  if (told.join() !== logged.join()) throw new Error(`the watcher saw ${told.join()} of ${logged.join()}`);
  const kinds = watcher.markers.map(({ kind, model, runId }) => `${kind} ${model} ${runId}`);
  const expected = marks.map(({ mark, m, r }) => `${String(mark)} ${m} ${r}`);
  if (kinds.join() !== expected.join()) throw new Error(`markers ${kinds.join()} of ${expected.join()}`);
  if (watcher.late.length > 0) throw new Error(`changes came below a watermark: ${watcher.late.join()}`);
  const versions = watcher.changes.flatMap(({ record }) =>
    record ? [[line(record)[0], Number(record.version)] as const] : [],
  );
  expectSame(
    'the watcher',
    new Map(versions),
    new Map(records.map(({ m, _id, v }) => [`${m}/${idOf(_id)}`, v])),
  );
}
