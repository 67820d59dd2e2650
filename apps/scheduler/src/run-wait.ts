import type { Run } from './run.js';

/** What a waiting run waits for, as far as others of its connection are in its way; undefined if none is. */
export function waitNote(run: Run, unfinished: readonly Run[]): string | undefined {
  const others = unfinished.filter(
    ({ id, state }) => id !== run.id && state !== 'PAUSED' && state !== 'HELD',
  );
  const before = others.filter(({ id }) => run.after.includes(id));
  if (before.length > 0)
    return `${before.map(({ model }) => model).join(', ')} ${before.length === 1 ? 'goes' : 'go'} first`;
  const older = others.find(({ id, model, kind }) => model === run.model && kind === run.kind && id < run.id);
  if (older !== undefined) return `${older.id} goes first`;
  const running = others.find(({ state }) => state === 'RUNNING');
  return running && `a ${running.kind.toLowerCase()} of ${running.model} is running`;
}
