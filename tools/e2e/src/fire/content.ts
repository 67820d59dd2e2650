import type { Record as RecordMessage } from '@tidemark/contracts';
import type { Version } from './judge.js';

/** Stands for the content of a record that is gone. */
export const DELETED = 'deleted';

/** A record as the judge takes it. */
export function toVersion({
  model,
  id,
  version,
  sequence,
  changedAt,
  deletedAt,
  data,
}: RecordMessage): Version {
  if (changedAt === undefined) throw new Error('a record came without its time');
  const content = deletedAt ? DELETED : contentOf(data);
  const numbers = { version: Number(version), sequence: Number(sequence) };
  return { key: `${model}/${id}`, ...numbers, at: changedAt.getTime(), content };
}

function contentOf(data: Uint8Array): string {
  const { content } = JSON.parse(Buffer.from(data).toString()) as { content: string };
  return content;
}
