import { Cause, Operation, type Record as RecordMessage, type RecordVersion } from '@tidemark/contracts';
import { forTenant } from '@tidemark/rpc';
import type { StoreHarness } from './harness.js';
import { expectSame } from './expect-same.js';
import { idOf } from './model-checks.js';
import type { Stored } from './model-log-checks.js';
import { contentOf, line, readRecords } from './model-readers.js';
import type { ModelScope } from './model-scope.js';
import type { Content } from './model-source.js';
import type { ModelWorld } from './model-world.js';

const FIELDS = ['n', 'm'] as const;

/** What a reader saw at a moment, to be read again later. */
export interface Memory {
  readonly at: Date;
  readonly revision: bigint;
  readonly records: readonly RecordMessage[];
}

/** Reads everything, so that it can be read as of this moment later. */
export async function remember(store: StoreHarness, scope: ModelScope): Promise<Memory> {
  const { revision } = scope;
  const { records, last } = await readRecords(store, scope, 'a read');
  return { at: last.completeThrough ?? new Date(0), revision, records };
}

/** Throws unless everything reads as of a moment as it read then, less what the scope has taken away since. */
export async function checkMemory(store: StoreHarness, scope: ModelScope, memory: Memory): Promise<void> {
  const { records } = await readRecords(store, scope, 'a read as of', { asOf: memory.at, pageSize: 4 });
  const text = memory.revision === scope.revision ? line : lineWithoutPurged;
  expectSame(
    `as of ${memory.at.toISOString()}`,
    new Map(records.map(text)),
    new Map(memory.records.map(text)),
  );
}

function lineWithoutPurged(record: RecordMessage): [string, string] {
  return [`${record.model}/${record.id}`, `v${record.version} ${String(contentOf(record).n)}`];
}

/** Throws unless every record's versions run from 1 without gaps, go forward alone, and are what was told of them. */
export async function checkHistory(
  world: ModelWorld,
  store: StoreHarness,
  { records, changes }: Stored,
): Promise<void> {
  const { scope, watcher } = world;
  const told = new Map(watcher.changes.map((change) => [String(change.record?.sequence), change]));
  const counts = await Promise.all(
    records.map(async ({ m: model, _id, v }, index) => {
      // What there is of it was read with everything else.
      if (v === 1) return 1;
      const { connectionId, purged } = scope;
      const request = { connectionId, model, id: idOf(_id) };
      const options = { metadata: forTenant('acme') };
      const { versions } = await store.reading.listRecordVersions({ ...request, pageSize: 1_000 }, options);
      const oldestFirst = versions.toReversed();
      for (const { record } of oldestFirst)
        if (record) scope.check('a history', purged, model, record.sequence, contentOf(record));
      checkVersions(scope, oldestFirst);
      for (const version of oldestFirst) checkTold(version, told.get(String(version.record?.sequence)));
      if (index % 3 > 0) return versions.length;
      const at = { $case: 'version' as const, value: BigInt(1 + ((versions.length - 1) >> 1)) };
      const { record } = await store.reading.getRecord({ ...request, at }, options);
      const listed = oldestFirst[Number(at.value) - 1]?.record;
      if (!record || !listed || line(record)[1] !== line(listed)[1])
        throw new Error(`version ${at.value} of ${request.id} is another one in its history`);
      return versions.length;
    }),
  );
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total !== changes) throw new Error(`${total} versions for ${changes} changes`);
}

function checkTold(
  version: RecordVersion,
  change: ModelWorld['watcher']['changes'][number] | undefined,
): void {
  const text = ({ operation, cause, runId, record }: Omit<RecordVersion, 'changedFields' | 'supersededAt'>) =>
    `${operation} ${cause} ${runId} v${record?.version} ${record?.changedAt?.toISOString()}`;
  if (change === undefined || text(change) !== text(version))
    throw new Error(`the watcher was told ${change && text(change)}, the history says ${text(version)}`);
}

function checkVersions(scope: ModelScope, versions: readonly RecordVersion[]): void {
  let before: RecordVersion | undefined;
  const newest: { n: number; m: number } = { n: 0, m: 0 };
  versions.forEach((version, index) => {
    const { record, operation } = version;
    if (!record) throw new Error('a version came without its record');
    const name = `${record.model}/${record.id} v${record.version}`;
    if (Number(record.version) !== index + 1) throw new Error(`${name} is version ${index + 1}`);
    const wasLive = before?.record?.deletedAt === undefined && before !== undefined;
    const [live, dead] =
      before === undefined
        ? [Operation.CREATED]
        : wasLive
          ? [Operation.UPDATED, Operation.DELETED]
          : [Operation.RESTORED];
    if (operation !== live && operation !== dead) throw new Error(`${name} is of operation ${operation}`);
    const content = contentOf(record);
    for (const field of FIELDS) {
      const now = content[field] ?? newest[field];
      if (now < newest[field]) throw new Error(`${name} goes back from ${newest[field]} to ${now}`);
      newest[field] = now;
    }
    if (operation === Operation.UPDATED && before?.record)
      checkUpdate(scope, name, before.record, version, content);
    if (before && before.supersededAt?.getTime() !== record.changedAt?.getTime())
      throw new Error(`${name} does not begin where the version before it ends`);
    before = version;
  });
}

/** What a later scope took away cannot be compared any more. */
function checkUpdate(
  scope: ModelScope,
  name: string,
  before: RecordMessage,
  { cause, changedFields }: RecordVersion,
  content: Partial<Content>,
): void {
  const old = contentOf(before);
  const isWhole = Number(before.sequence) > (scope.narrowedAt.get(before.model) ?? 0);
  if (cause === Cause.SCOPE) {
    if (content.m !== undefined || content.n !== old.n)
      throw new Error(`${name} is no purge of its version before`);
    return;
  }
  if (!isWhole) return;
  const differing = FIELDS.filter((field) => content[field] !== old[field]).sort();
  if (differing.length === 0) throw new Error(`${name} changes nothing`);
  if (changedFields.toSorted().join() !== differing.join())
    throw new Error(`${name} changes ${differing.join()}, not ${changedFields.join()}`);
}
