import { jest } from '@jest/globals';
import { MongoChangeWriter } from '../mongo-change-writer.js';

/**
 * Has the next write of this process wait for something: what it writes is planned by then. Each write counts as one call of
 * the spy, the one that waits as two. The spy is the caller's to restore.
 */
export function holdNextWrite(wait: () => Promise<unknown>): jest.SpiedFunction<MongoChangeWriter['write']> {
  return jest.spyOn(MongoChangeWriter.prototype, 'write').mockImplementationOnce(async function (
    this: MongoChangeWriter,
    ...args
  ) {
    await wait();
    return this.write(...args);
  });
}
