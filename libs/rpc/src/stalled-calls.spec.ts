import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { StreamRecordsResponse } from '@tidemark/contracts';
import { startRecordServer, type RecordServer } from './testing/record-server.js';

const PAGE = 'x'.repeat(64 * 1024);
const STALL_MS = 300;

/** A server of endless pages that tells when a stream of it ended. */
async function startEndless(stallMs = STALL_MS) {
  const ends = new EventTarget();
  const sent: WeakRef<object>[] = [];
  const records = await startRecordServer(
    {
      async *streamRecords(_request, context) {
        try {
          for (;;) {
            const page = { cursor: PAGE };
            sent.push(new WeakRef(page));
            yield page;
          }
        } finally {
          ends.dispatchEvent(new Event(context.signal.aborted ? 'cancelled' : 'left'));
        }
      },
    },
    { stallMs },
  );
  return { records, ends, sent };
}

describe('a caller that takes nothing', () => {
  let records: RecordServer | undefined;
  afterEach(() => records?.close());

  it('is cut off: the handler ends, and the reason stands behind what was queued', async () => {
    const endless = await startEndless();
    ({ records } = endless);
    const ended = once(endless.ends, 'cancelled');
    const reader = records.client.streamRecords({})[Symbol.asyncIterator]();
    await reader.next();
    await ended;
    await expect(drain(reader)).rejects.toMatchObject({
      reason: 'WATCHER_TOO_SLOW',
      metadata: {},
      message: expect.stringContaining('last cursor'),
    });
    expect(records.logs.filter(({ level }) => level !== 'debug')).toEqual([
      expect.objectContaining({
        level: 'info',
        fields: { method: '/tidemark.v1.RecordService/StreamRecords' },
      }),
    ]);
  });

  it('is reset in the end, so that nothing of it is kept, and still learns the reason', async () => {
    const endless = await startEndless();
    ({ records } = endless);
    const ended = once(endless.ends, 'cancelled');
    const reader = records.client.streamRecords({})[Symbol.asyncIterator]();
    await reader.next();
    await ended;
    await until(() => records?.logs.some(({ message }) => message.endsWith('was reset')) === true);
    await until(() => areCollected(endless.sent));
    const failure: unknown = await drain(reader).catch((error: unknown) => error);
    // It is the reset that told, not a status behind what nobody took.
    expect(failure).toMatchObject({ reason: 'WATCHER_TOO_SLOW', cause: { details: /Bandwidth/ } });
  });

  it('does not disturb the others on its connection, nor who takes a message now and then', async () => {
    const endless = await startEndless();
    ({ records } = endless);
    const { client } = records;
    const slow = client.streamRecords({})[Symbol.asyncIterator]();
    let cut = 0;
    endless.ends.addEventListener('cancelled', () => (cut += 1));
    const stalled = Array.from({ length: 8 }, () => client.streamRecords({})[Symbol.asyncIterator]());
    await Promise.all(stalled.map((reader) => reader.next()));
    // Longer than the bound, each message well within it.
    while (cut < stalled.length) {
      await slow.next();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (let more = 0; more < 100; more += 1) {
      expect((await slow.next()).done).toBe(false);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(cut).toBe(stalled.length);
    await slow.return?.();
    await Promise.all(stalled.map(async (reader) => reader.return?.()));
  });

  it('is none while there is nothing to take', async () => {
    let release: () => void = () => undefined;
    const quiet = new Promise<void>((resolve) => (release = resolve));
    records = await startRecordServer(
      {
        async *streamRecords() {
          yield { cursor: 'one' };
          await quiet;
          yield { cursor: 'two' };
        },
      },
      { stallMs: 20 },
    );
    const reader = records.client.streamRecords({})[Symbol.asyncIterator]();
    await reader.next();
    setTimeout(release, 200);
    expect((await reader.next()).value).toMatchObject({ cursor: 'two' });
    expect(await reader.next()).toMatchObject({ done: true });
  });
});

async function drain(reader: AsyncIterator<StreamRecordsResponse>): Promise<void> {
  while ((await reader.next()).done !== true);
}

/** Waits until something holds, however long that takes. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Whether nothing holds any of the objects any more. */
function areCollected(objects: readonly WeakRef<object>[]): boolean {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  return objects.every((object) => object.deref() === undefined);
}
