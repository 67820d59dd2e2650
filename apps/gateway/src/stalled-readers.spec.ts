import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { startWorld, type World } from './testing/backends.js';

const PAGE = 'x'.repeat(64 * 1024);

describe('a reader that stalls behind the gateway', () => {
  let world: World | undefined;
  afterEach(() => world?.close());

  it.each([
    ['the gateway', { gateway: 300 }],
    ['the store', { store: 300 }],
  ])('is cut off by %s: the store lets go, the reason comes through, others go on', async (_, stallMs) => {
    const ends = new EventTarget();
    world = await startWorld(
      {
        async *streamRecords(_request, context) {
          try {
            for (let page = 0; ; page += 1) {
              yield { cursor: PAGE };
            }
          } finally {
            ends.dispatchEvent(new Event(context.signal.aborted ? 'cancelled' : 'left'));
          }
        },
      },
      undefined,
      stallMs,
    );
    const ended = once(ends, 'cancelled');
    const records = world.records();
    const stalled = records.streamRecords({})[Symbol.asyncIterator]();
    await stalled.next();
    const moving = records.streamRecords({})[Symbol.asyncIterator]();
    let gone = false;
    void ended.then(() => (gone = true));
    while (!gone) {
      expect((await moving.next()).done).toBe(false);
    }
    await moving.next();
    await moving.return?.();
    const drain = async () => {
      while ((await stalled.next()).done !== true);
    };
    await expect(drain()).rejects.toMatchObject({ reason: 'WATCHER_TOO_SLOW' });
  });
});
