import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What the plain driver needed, in seconds. */
export interface RawSeconds {
  readonly insert: number;
  readonly scan: number;
}

/**
 * Measures the raw ceiling in a process of its own, as every service is one: neither warms the other up, nor makes the
 * other collect its garbage.
 */
export async function measureRaw(uri: string, path: string): Promise<RawSeconds> {
  const main = fileURLToPath(new URL('./raw-ceiling.js', import.meta.url));
  const child = fork(main, [uri, path]);
  let result: RawSeconds | undefined;
  child.once('message', (message) => (result = message as RawSeconds));
  const code = await new Promise((resolve) => child.once('exit', resolve));
  if (code !== 0 || result === undefined) throw new Error('the raw measurement failed');
  return result;
}
