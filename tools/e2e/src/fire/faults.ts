import type { Follower } from './readers.js';
import type { FireWriter } from './writer.js';

/** What is wrong with what a follower was given: nothing, if that is every write acknowledged, once and in order. */
export function faultsOf(follower: Follower, writers: readonly FireWriter[]): string[] {
  const faults: string[] = [];
  const histories = new Map<string, string[]>();
  follower.changes.forEach(({ key, version, sequence, content }, index) => {
    if (sequence !== index + 1) faults.push(`sequence ${sequence} came as number ${index + 1}`);
    const history = histories.get(key) ?? [];
    histories.set(key, history);
    if (history.push(content) !== version)
      faults.push(`${key} came in version ${version} as number ${history.length}`);
  });
  for (const { own, lease } of writers)
    for (const [id, contents] of own) {
      const key = `${lease.model}/${id}`;
      if (histories.get(key)?.join('\n') !== contents.join('\n')) faults.push(`${key} was written otherwise`);
      histories.delete(key);
    }
  if (follower.late > 0) faults.push(`${follower.late} changes came at or below a watermark`);
  return [...faults, ...faultsOfShared([...histories.values()].flat(), writers)];
}

/** Of records that two runs write nobody knows the order, but each content is of one write alone. */
function faultsOfShared(given: readonly string[], writers: readonly FireWriter[]): string[] {
  const faults: string[] = [];
  const awaited = new Set(writers.flatMap(({ shared }) => [...shared]));
  for (const content of given)
    if (!awaited.delete(content)) faults.push(`${content} was given twice, or not acknowledged`);
  for (const content of awaited) faults.push(`${content} was not given`);
  return faults;
}
