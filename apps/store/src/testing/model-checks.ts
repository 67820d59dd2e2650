import { SyncKind } from '@tidemark/contracts';
import { OPERATION } from '../mongo-collections.js';
import type { StoreHarness } from './harness.js';
import { contentOf, readRecords } from './model-readers.js';
import { cutTo } from './model-scope.js';
import type { Content } from './model-source.js';
import type { ModelWorld } from './model-world.js';
import type { ModelWriter } from './model-writer.js';

/** The id in a record's key. */
export function idOf(key: string): string {
  return key.split(':')[2] ?? '';
}

/** Throws for a tombstone of a full run whose record never was missing since the run began and another one last saw it. */
export async function checkDeletes(world: ModelWorld, writer: ModelWriter): Promise<void> {
  if (writer.kind !== SyncKind.FULL) return;
  const deleted = await world.db.records
    .find({ c: world.uid, m: writer.model, o: OPERATION.DELETED, r: writer.runId })
    .toArray();
  const others = world.writers.filter(({ model, kind }) => model === writer.model && kind !== writer.kind);
  for (const { _id } of deleted) {
    const id = idOf(_id);
    const since = Math.max(writer.began, ...others.map(({ saw }) => saw.get(id) ?? 0));
    if (!writer.source.absentWithin(id, since, world.now))
      throw new Error(`${writer.runId} deleted ${id}, which the source has held since tick ${since}`);
  }
}

/** What a run that is no snapshot has to have brought into the store when it ended, by id. */
export function broughtBy(writer: ModelWriter): Map<string, Content | undefined> {
  const isWebhook = writer.kind === SyncKind.WEBHOOK;
  const changed = writer.source.changedWithin(isWebhook ? 0 : Number(writer.from), writer.readUpTo);
  const wanted = [...changed].filter(
    ([id]) => !writer.unread.has(id) && (!isWebhook || writer.named.has(id)),
  );
  return new Map(wanted);
}

/** Throws when a delta or a webhook's run ended and the store does not hold what it had to bring. */
export async function checkBrought(
  world: ModelWorld,
  store: StoreHarness,
  { runId, model, beganAt, fields }: Pick<ModelWriter, 'runId' | 'model' | 'beganAt' | 'fields'>,
  brought: ReadonlyMap<string, Content | undefined>,
): Promise<void> {
  const { scope } = world;
  const { records } = await readRecords(store, scope, 'a read', { models: [model] });
  const stored = new Map(
    records.map((record) => [record.id, record.deletedAt ? undefined : contentOf(record)]),
  );
  // What was read under another scope may lack a field.
  const compared = scope.revision === beganAt ? fields : (['n'] as const);
  const text = (content: Partial<Content> | undefined): string =>
    JSON.stringify(content && compared.map((field) => content[field] ?? null));
  for (const [id, content] of brought) {
    const found = stored.get(id);
    if (text(found) !== text(content && cutTo(compared, content)))
      throw new Error(`${runId} ended, and ${id} is ${text(found)} instead of ${text(content)}`);
  }
}
