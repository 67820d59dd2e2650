import { SyncKind } from '@tidemark/contracts';
import { OPERATION, recordKey, type CommitDocument } from '../mongo-collections.js';
import { line } from './model-readers.js';
import { expectSame } from './expect-same.js';
import type { ModelWorld } from './model-world.js';
import type { ModelWriter } from './model-writer.js';

/** Throws for a tombstone of a full run whose record never was missing since the run began and a delta last saw it. */
export async function checkDeletes(world: ModelWorld, writer: ModelWriter): Promise<void> {
  if (writer.kind !== SyncKind.FULL) return;
  const { db } = world.stores[0];
  const delta = world.writer({ model: writer.model, kind: SyncKind.DELTA });
  const deleted = await db.records
    .find({ c: world.uid, m: writer.model, o: OPERATION.DELETED, r: writer.runId })
    .toArray();
  for (const { _id } of deleted) {
    const id = _id.split(':')[2] ?? '';
    const since = Math.max(writer.began, delta.saw.get(id) ?? 0);
    if (!writer.source.absentWithin(id, since, world.now))
      throw new Error(`${writer.runId} deleted ${id}, which the source has held since tick ${since}`);
  }
}

/** Throws when a delta ended and the store does not hold what changed between its bound and its end. */
export async function checkDelta(world: ModelWorld, writer: ModelWriter): Promise<void> {
  for (const [id, n] of writer.source.changedWithin(Number(writer.from), writer.readUpTo)) {
    if (writer.unread.has(id)) continue;
    const record = await world.stores[0].db.records.findOne({ _id: recordKey(world.uid, writer.model, id) });
    const stored =
      record?.p === undefined
        ? undefined
        : (JSON.parse(Buffer.from(record.p.buffer).toString()) as { n: number }).n;
    if (stored !== n)
      throw new Error(`${writer.runId} ended, and ${id} is ${String(stored)} instead of ${String(n)}`);
  }
}

/** Throws unless the log, the versions, the records and the watcher tell one story without gaps. */
export async function checkLog(world: ModelWorld): Promise<void> {
  const { db } = world.stores[0];
  const commits = await db.commits.find({ c: world.uid }).sort({ _id: 1 }).toArray();
  const head = checkSequences(commits);
  const clock = await db.clocks.findOne({ _id: world.uid });
  if (clock?.seq !== head) throw new Error(`the clock says ${String(clock?.seq)}, the log ${head}`);
  const records = await db.records.find({ c: world.uid }).toArray();
  const versions = await db.versions.find({ c: world.uid }).toArray();
  expectSame(
    'the log replayed',
    replay(commits),
    new Map(records.map(({ m, _id, v, s, o }) => [`${m}/${_id.split(':')[2] ?? ''}`, `${v} ${s} ${o}`])),
  );
  const history = [
    ...versions.map(({ _id, ...rest }) => ({ key: _id.k, ...rest })),
    ...records.map(({ _id, ...rest }) => ({ key: _id, ...rest })),
  ];
  const newest = new Map<string, number>();
  const content = new Map<string, number>();
  for (const { key, v, p } of history.sort((a, b) => a.s - b.s)) {
    if (v !== (newest.get(key) ?? 0) + 1)
      throw new Error(`version ${v} of ${key} follows ${newest.get(key) ?? 0}`);
    newest.set(key, v);
    if (p === undefined) continue;
    const { n } = JSON.parse(Buffer.from(p.buffer).toString()) as { n: number };
    if (n <= (content.get(key) ?? 0))
      throw new Error(`${key} went from ${content.get(key) ?? 0} back to ${n}`);
    content.set(key, n);
  }
  if (history.length !== head) throw new Error(`${history.length} versions for ${head} changes`);
  const models = await db.models.find({ c: world.uid }).toArray();
  for (const { m, live } of models) {
    const counted = records.filter((record) => record.m === m && record.p !== undefined).length;
    if (counted !== live) throw new Error(`${live} live ${m} are counted, there are ${counted}`);
  }
  const seen = await db.seen.countDocuments({ c: world.uid });
  if (seen > 0) throw new Error(`${seen} pages of seen-keys are left behind`);
  await checkWatcher(
    world,
    head,
    new Map(records.map((record) => [`${record.m}/${record._id.split(':')[2] ?? ''}`, record.v])),
  );
}

function checkSequences(commits: readonly CommitDocument[]): number {
  let head = 0;
  let at = -1;
  for (const commit of commits) {
    if (commit.f !== head + 1 || commit._id.n !== head + commit.i.length)
      throw new Error(`commit ${commit.f} to ${commit._id.n} follows ${head}`);
    if (commit.at.getTime() <= at) throw new Error('time went back');
    head = commit._id.n;
    at = commit.at.getTime();
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

async function checkWatcher(
  { watcher }: ModelWorld,
  head: number,
  versions: ReadonlyMap<string, number>,
): Promise<void> {
  while (watcher.changes.length < head && watcher.failures.length === 0)
    await new Promise((resolve) => setTimeout(resolve, 5));
  await watcher.stop();
  if (watcher.failures.length > 0) throw new Error('the watch failed', { cause: watcher.failures[0] });
  const sequences = watcher.changes.map(({ record }) => Number(record?.sequence));
  if (sequences.some((sequence, index) => sequence !== index + 1))
    throw new Error(`the watcher saw ${sequences.join(',')}`);
  if (watcher.late.length > 0) throw new Error(`changes came below a watermark: ${watcher.late.join(',')}`);
  const told = new Map(
    watcher.changes.flatMap(({ record }) =>
      record ? [[line(record)[0], Number(record.version)] as const] : [],
    ),
  );
  expectSame('the watcher', told, versions);
}
