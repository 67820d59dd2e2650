import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { RecordServiceDefinition } from '@tidemark/contracts';
import { createClient } from './client.js';
import { forTenant, internalAuth, isInternalRefusal, tenantOf } from './auth.js';
import { startRecordServer, type RecordServer } from './testing/record-server.js';

const TOKEN = 'a-token-that-the-services-share-0001';

describe('calls', () => {
  let records: RecordServer | undefined;
  afterEach(() => records?.close());

  it('ends a unary call at its deadline, and the handler’s signal with it', async () => {
    const seen: AbortSignal[] = [];
    records = await startRecordServer({
      getRecord: async (_, context) => {
        seen.push(context.signal);
        await once(context.signal, 'abort');
        return {};
      },
    });
    await expect(records.client.getRecord({}, { deadlineMs: 30 })).rejects.toMatchObject({
      reason: 'DEADLINE_EXCEEDED',
    });
    await aborted(seen[0]);
  });

  it('gives unary calls the client’s default deadline, and streams none', async () => {
    records = await startRecordServer(
      {
        getRecord: () => new Promise(() => undefined),
        async *streamRecords() {
          await new Promise((resolve) => setTimeout(resolve, 120));
          yield { cursor: 'late' };
        },
      },
      { defaultDeadlineMs: 40 },
    );
    await expect(records.client.getRecord({})).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    for await (const page of records.client.streamRecords({})) {
      expect(page.cursor).toBe('late');
    }
  });

  it('cancels the handler when the caller aborts, and logs no error', async () => {
    const controller = new AbortController();
    const seen: AbortSignal[] = [];
    records = await startRecordServer({
      getRecord: async (_, context) => {
        seen.push(context.signal);
        controller.abort();
        await aborted(context.signal);
        context.signal.throwIfAborted();
        return {};
      },
    });
    const call = records.client.getRecord({}, { signal: controller.signal });
    await expect(call).rejects.toMatchObject({ reason: 'CANCELLED' });
    await aborted(seen[0]);
    await records.close();
    expect(records.logs.filter(({ level }) => level !== 'debug')).toEqual([]);
  });

  it('ends the handler’s generator when the reader leaves its loop', async () => {
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    records = await startRecordServer({
      async *streamRecords(_, context) {
        try {
          yield { cursor: 'one' };
          await aborted(context.signal);
        } finally {
          end();
        }
      },
    });
    for await (const _page of records.client.streamRecords({})) {
      break;
    }
    await ended;
  });

  it('stalls the generator when the reader stalls', async () => {
    let made = 0;
    const cursor = 'x'.repeat(256 * 1024);
    records = await startRecordServer({
      async *streamRecords() {
        for (; made < 1000; made += 1) {
          yield { cursor };
        }
      },
    });
    const reader = records.client.streamRecords({})[Symbol.asyncIterator]();
    await reader.next();
    await settled(() => made);
    expect(made).toBeLessThan(60);
    let read = 1;
    while ((await reader.next()).done !== true) {
      read += 1;
    }
    expect(read).toBe(1000);
  });

  it('lets readers stall without holding up another on the same connection', async () => {
    const cursor = 'x'.repeat(256 * 1024);
    records = await startRecordServer({
      async *streamRecords() {
        for (let made = 0; made < 100; made += 1) {
          yield { cursor };
        }
      },
    });
    const { client } = records;
    const stalled = Array.from({ length: 8 }, () => client.streamRecords({})[Symbol.asyncIterator]());
    await Promise.all(stalled.map((reader) => reader.next()));
    let read = 0;
    for await (const _page of client.streamRecords({})) {
      read += 1;
    }
    expect(read).toBe(100);
    await Promise.all(stalled.map(async (reader) => reader.return?.()));
  });

  it('takes calls with the shared token only, and hands the tenant on', async () => {
    records = await startRecordServer(
      { getRecord: async (_, context) => ({ record: { id: tenantOf(context) } }) },
      { middleware: [internalAuth(TOKEN)], credential: { internalToken: TOKEN } },
    );
    const answer = await records.client.getRecord({}, { metadata: forTenant('acme') });
    expect(answer.record?.id).toBe('acme');
    await expect(records.client.getRecord({})).rejects.toMatchObject({ reason: 'INTERNAL' });
  });

  it.each([
    ['no credential', undefined],
    ['another token', { internalToken: `${TOKEN}x` }],
    ['an API key', { apiKey: TOKEN }],
  ])('refuses %s', async (_, credential) => {
    records = await startRecordServer({}, { middleware: [internalAuth(TOKEN)] });
    const client = createClient(RecordServiceDefinition, records.server.address, { credential });
    const error: unknown = await client.getRecord({}).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ reason: 'CREDENTIAL_INVALID' });
    expect(isInternalRefusal(error)).toBe(true);
    client.close();
  });

  it('gives SERVICE_UNAVAILABLE for a server that is not there, without its address, and recovers when it comes', async () => {
    records = await startRecordServer({ getRecord: async () => ({}) });
    const { address } = records.server;
    const client = createClient(RecordServiceDefinition, address, { credential: undefined });
    await records.close();
    const error: unknown = await client.getRecord({}).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      reason: 'SERVICE_UNAVAILABLE',
      message: expect.not.stringContaining(address),
    });
    records = await startRecordServer({ getRecord: async () => ({}) }, { address });
    const answer = async (): Promise<unknown> => client.getRecord({}).catch(answer);
    expect(await answer()).toEqual({ record: undefined });
    client.close();
  });
});

async function aborted(signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted === false) {
    await once(signal, 'abort');
  }
}

/** Waits until a number has stopped changing. */
async function settled(read: () => number): Promise<void> {
  for (let before = -1; before !== read();) {
    before = read();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
