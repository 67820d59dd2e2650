import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Bed } from './bed.js';
import type { Phase } from './meter.js';
import type { DatabaseSize } from './mongo-size.js';

/** What the plain driver needed: seconds, disk and CPU. */
export interface RawResult {
  readonly insert: number;
  readonly scan: number;
  readonly size: DatabaseSize;
  readonly phases: readonly Phase[];
}

/**
 * Measures the raw ceiling in a process of its own, as every service is one: neither warms the other up, nor makes the
 * other collect its garbage.
 */
export async function measureRaw({ mongo }: Bed, path: string, records: number): Promise<RawResult> {
  const main = fileURLToPath(new URL('./mongo-raw-ceiling.js', import.meta.url));
  const child = fork(main, [mongo.uri, path, String(records), String(mongo.pid)]);
  let result: RawResult | undefined;
  child.once('message', (message) => (result = message as RawResult));
  const code = await new Promise((resolve) => child.once('exit', resolve));
  if (code !== 0 || result === undefined) throw new Error('the raw measurement failed');
  return result;
}
