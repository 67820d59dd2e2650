import { setTimeout as sleep } from 'node:timers/promises';
import { isTidemarkError } from '@tidemark/model';

const PAUSE_MS = 50;
/** Longer than anything may take to come back, so that a round that hangs says where. */
const LONGEST_WAIT_MS = 90_000;

/** Whether a call failed since a service is away for now. */
export function isAway(error: unknown): boolean {
  return isTidemarkError(error, 'SERVICE_UNAVAILABLE', 'DEADLINE_EXCEEDED', 'DATABASE_UNAVAILABLE');
}

/** Makes a call again for as long as a service is away. */
export async function patiently<T>(call: () => Promise<T>): Promise<T> {
  const end = performance.now() + LONGEST_WAIT_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isAway(error) || performance.now() > end) throw error;
      await sleep(PAUSE_MS);
    }
  }
}

/** Waits until `look` finds something; fails with what `tell` says if it never does. */
export async function eventually<T>(
  look: () => T | undefined | Promise<T | undefined>,
  tell: () => string | Promise<string>,
  { pauseMs = PAUSE_MS, longestMs = LONGEST_WAIT_MS } = {},
): Promise<T> {
  const end = performance.now() + longestMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`it never came about: ${await tell()}`);
    await sleep(pauseMs);
  }
}
