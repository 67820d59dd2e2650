import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  ConnectorServiceDefinition,
  IdentityServiceDefinition,
  RecordServiceDefinition,
  RpcStatus,
  StoreServiceDefinition,
} from '@tidemark/contracts';
import { TidemarkError } from '@tidemark/model';
import { createClient, DETAILS_TRAILER, tenantOf } from '@tidemark/rpc';
import { createChannel, createClient as createPlainClient, Metadata, ServerError, Status } from 'nice-grpc';
import { KEYS, startWorld, type World } from './testing/backends.js';

describe('the gateway', () => {
  let world: World | undefined;
  afterEach(() => world?.close());

  /** Calls as a foreign client would, with metadata of its own making. */
  const callPlainly = async (metadata: Metadata): Promise<unknown> => {
    const channel = createChannel(world?.gatewayAddress ?? '');
    const client = createPlainClient(RecordServiceDefinition, channel);
    try {
      return await client.getRecord({ id: 'r' }, { metadata }).catch((error: unknown) => error);
    } finally {
      channel.close();
    }
  };

  it('relays a call for the tenant of its key, whatever tenant the caller claims', async () => {
    world = await startWorld({
      getRecord: async (request, context) => ({ record: { id: request.id, model: tenantOf(context) } }),
    });
    const metadata = Metadata({ authorization: `bearer ${KEYS.read}`, 'tidemark-tenant': 'globex' });
    expect(await callPlainly(metadata)).toMatchObject({ record: { id: 'r', model: 'acme' } });
  });

  it.each([
    ['no key', undefined, 'CREDENTIAL_MISSING'],
    ['a malformed key', 'Bearer nonsense', 'CREDENTIAL_INVALID'],
    ['another scheme', 'Basic dXNlcg==', 'CREDENTIAL_INVALID'],
    ['the internal scheme', 'Internal the-token-that-these-services-share', 'CREDENTIAL_INVALID'],
    ['an unknown key', 'Bearer tm_nobody_secret', 'CREDENTIAL_INVALID'],
    ['an expired key', `Bearer ${KEYS.expired}`, 'CREDENTIAL_INVALID'],
  ])('refuses %s as UNAUTHENTICATED', async (_, authorization, reason) => {
    world = await startWorld({ getRecord: async () => ({}) });
    const trailers: Metadata[] = [];
    const channel = createChannel(world.gatewayAddress);
    const client = createPlainClient(RecordServiceDefinition, channel);
    const metadata = Metadata(authorization === undefined ? {} : { authorization });
    const call = client.getRecord({}, { metadata, onTrailer: (trailer) => void trailers.push(trailer) });
    await expect(call).rejects.toMatchObject({ code: Status.UNAUTHENTICATED });
    expect(String(trailers[0]?.get(DETAILS_TRAILER))).toBeTruthy();
    expect(Buffer.from(trailers[0]?.get(DETAILS_TRAILER) ?? '').toString()).toContain(reason);
    channel.close();
  });

  it('lets a key do what its role allows', async () => {
    world = await startWorld({ getRecord: async () => ({}) });
    await world.records(KEYS.read).getRecord({});
    await world.syncs(KEYS.read).listSyncRuns({});
    await expect(world.syncs(KEYS.read).runSync({})).rejects.toMatchObject({
      reason: 'ROLE_MISSING',
      metadata: { role: 'sync' },
    });
    await world.syncs(KEYS.sync).runSync({});
    await expect(world.syncs(KEYS.sync).approveSyncRun({})).rejects.toMatchObject({ reason: 'ROLE_MISSING' });
    await world.syncs(KEYS.admin).approveSyncRun({});
  });

  it.each([StoreServiceDefinition, IdentityServiceDefinition, ConnectorServiceDefinition])(
    'does not expose an internal service',
    async (definition) => {
      world = await startWorld({});
      const client = createClient(definition, world.gatewayAddress, { credential: { apiKey: KEYS.admin } });
      const [call] = Object.values(client) as ((request: object) => Promise<unknown>)[];
      await expect(call?.({})).rejects.toMatchObject({ reason: 'FEATURE_UNSUPPORTED' });
      client.close();
    },
  );

  it('gives failures of the store back as they were, also in the middle of a stream', async () => {
    const thrown = new TidemarkError('CURSOR_EXPIRED', 'read in full — “100 %”', {
      violations: [{ field: 'cursor', description: 'too old' }],
      retryAfterMs: 1_500,
      metadata: { oldest: '7' },
    });
    world = await startWorld({
      getRecord: async () => {
        throw thrown;
      },
      async *streamRecords() {
        yield { cursor: 'one' };
        throw thrown;
      },
    });
    const { reason, message, violations, retryAfterMs, metadata } = thrown;
    const expected = { reason, message, violations, retryAfterMs, metadata };
    await expect(world.records().getRecord({})).rejects.toMatchObject(expected);
    const cursors: string[] = [];
    const read = async (client: ReturnType<World['records']>) => {
      for await (const page of client.streamRecords({})) {
        cursors.push(page.cursor);
      }
    };
    await expect(read(world.records())).rejects.toMatchObject(expected);
    expect(cursors).toEqual(['one']);
  });

  it('passes on reasons that it does not know', async () => {
    const details = RpcStatus.encode({
      code: Status.ABORTED,
      message: 'from the future',
      details: [{ typeUrl: 'type.googleapis.com/tidemark.v9.New', value: new Uint8Array([1, 2]) }],
    }).finish();
    world = await startWorld({
      getRecord: async (_, context) => {
        context.trailer.set(DETAILS_TRAILER, details);
        throw new ServerError(Status.ABORTED, 'from the future');
      },
    });
    const channel = createChannel(world.gatewayAddress);
    const client = createPlainClient(RecordServiceDefinition, channel);
    let trailer = Metadata();
    const metadata = Metadata({ authorization: `Bearer ${KEYS.read}` });
    const call = client.getRecord({}, { metadata, onTrailer: (received) => (trailer = received) });
    await expect(call).rejects.toMatchObject({ code: Status.ABORTED, details: 'from the future' });
    expect(Buffer.from(trailer.get(DETAILS_TRAILER) ?? '')).toEqual(Buffer.from(details));
    channel.close();
  });

  it('is SERVICE_UNAVAILABLE while the store is not there or stops', async () => {
    world = await startWorld({
      async *watchChanges(_, context) {
        yield {};
        await once(context.signal, 'abort');
      },
    });
    const watch = world.records().watchChanges({})[Symbol.asyncIterator]();
    await watch.next();
    const next = watch.next().catch((error: unknown) => error);
    await world.store.stop();
    expect(await next).toMatchObject({ reason: 'SERVICE_UNAVAILABLE', message: /stopping/ });
    await expect(world.records().getRecord({})).rejects.toMatchObject({ reason: 'SERVICE_UNAVAILABLE' });
  });

  it('answers INTERNAL when its own token is wrong, not that the caller’s key is', async () => {
    world = await startWorld({ getRecord: async () => ({}) }, 'another-token-than-the-services-share');
    await expect(world.records().getRecord({})).rejects.toMatchObject({
      reason: 'INTERNAL',
      metadata: { reference: /./ },
    });
  });

  it('takes cancellation and deadlines to the store', async () => {
    const signals: AbortSignal[] = [];
    world = await startWorld({
      getRecord: (_, context) => {
        signals.push(context.signal);
        return new Promise(() => undefined);
      },
      async *streamRecords(_, context) {
        signals.push(context.signal);
        yield { cursor: 'one' };
        await once(context.signal, 'abort');
      },
    });
    await expect(world.records().getRecord({}, { deadlineMs: 1_000 })).rejects.toMatchObject({
      reason: 'DEADLINE_EXCEEDED',
    });
    // A client that only announces its deadline and leaves ending the call to the server.
    const announced = Metadata({ authorization: `Bearer ${KEYS.read}`, 'grpc-timeout': '1000m' });
    expect(await callPlainly(announced)).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    for await (const _page of world.records().streamRecords({})) {
      break;
    }
    expect(signals).toHaveLength(3);
    await Promise.all(signals.map(async (signal) => signal.aborted || once(signal, 'abort')));
  });

  it('stalls the store when the reader stalls', async () => {
    let made = 0;
    const cursor = 'x'.repeat(256 * 1024);
    world = await startWorld({
      async *streamRecords() {
        for (; made < 1000; made += 1) {
          yield { cursor };
        }
      },
    });
    const reader = world.records().streamRecords({})[Symbol.asyncIterator]();
    await reader.next();
    for (let before = -1; before !== made;) {
      before = made;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(made).toBeLessThan(120);
    let read = 1;
    while ((await reader.next()).done !== true) {
      read += 1;
    }
    expect(read).toBe(1000);
  });
});
