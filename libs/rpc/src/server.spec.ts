import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { RecordServiceDefinition } from '@tidemark/contracts';
import { createChannel, createClient as createPlainClient } from 'nice-grpc';
import { HealthDefinition } from 'nice-grpc-server-health';
import { ServerReflectionService } from 'nice-grpc-server-reflection';
import { internalAuth } from './auth.js';
import { createClient } from './client.js';
import { startServer } from './server.js';
import { recordLogs, startRecordServer, type RecordServer } from './testing/record-server.js';

const { ServerReflectionRequest } =
  await import('nice-grpc-server-reflection/lib/proto/grpc/reflection/v1/reflection_pb.js');

describe('a server', () => {
  let records: RecordServer | undefined;
  afterEach(() => records?.close());

  it.each([
    '0.0.0.0:0',
    '[::]:0',
    '192.168.1.4:7100',
    'example.com:7100',
    '127.0.0.1',
    ':7100',
    '127.0.0.1:70000',
  ])('does not listen on %s', async (address) => {
    await expect(startServer({ address, services: [], logger: recordLogs().logger })).rejects.toMatchObject({
      reason: 'CONFIG_INVALID',
    });
  });

  it('says in one line that its port is taken', async () => {
    records = await startRecordServer({});
    const { address } = records.server;
    await expect(startServer({ address, services: [], logger: recordLogs().logger })).rejects.toMatchObject({
      reason: 'CONFIG_INVALID',
      message: `cannot listen on ${address}: another process listens there`,
    });
  });

  it('refuses to send a credential off loopback', () => {
    const options = { credential: { apiKey: 'tm_a_b' } };
    expect(() => createClient(RecordServiceDefinition, '10.0.0.1:7100', options)).toThrow(/loopback/);
  });

  it('is healthy without credentials, and NOT_SERVING once it stops', async () => {
    records = await startRecordServer({}, { middleware: [internalAuth('secret')] });
    const health = createClient(HealthDefinition, records.server.address, { credential: undefined });
    const watch = health.watch({ service: 'tidemark.v1.RecordService' })[Symbol.asyncIterator]();
    expect((await watch.next()).value).toEqual({ status: 1 });
    const stopped = records.server.stop();
    expect((await watch.next()).value).toEqual({ status: 2 });
    await expect(watch.next()).rejects.toMatchObject({ reason: 'SERVICE_UNAVAILABLE' });
    await stopped;
    health.close();
  });

  it('lists its services by reflection, and describes them', async () => {
    records = await startRecordServer({}, { middleware: [internalAuth('secret')] });
    const channel = createChannel(records.server.address);
    const reflection = createPlainClient(ServerReflectionService, channel);
    async function* ask() {
      yield new ServerReflectionRequest().setListServices('*');
      yield new ServerReflectionRequest().setFileContainingSymbol('tidemark.v1.RecordService');
    }
    const answers = [];
    for await (const answer of reflection.serverReflectionInfo(ask())) {
      answers.push(answer.toObject());
    }
    expect(answers[0]?.listServicesResponse?.serviceList).toEqual([{ name: 'tidemark.v1.RecordService' }]);
    expect(answers[1]?.fileDescriptorResponse?.fileDescriptorProtoList).toHaveLength(1);
    channel.close();
  });

  it('ends endless streams at once when it stops, those of deaf handlers too', async () => {
    const stops: boolean[] = [];
    records = await startRecordServer({
      async *watchChanges(_, context) {
        yield {};
        await once(context.signal, 'abort');
        stops.push(true);
      },
      async *streamRecords() {
        yield {};
        await new Promise(() => undefined);
      },
    });
    const listening = records.client.watchChanges({})[Symbol.asyncIterator]();
    const deaf = records.client.streamRecords({})[Symbol.asyncIterator]();
    await Promise.all([listening.next(), deaf.next()]);
    const ends = Promise.allSettled([listening.next(), deaf.next()]);
    await records.server.stop();
    for (const end of await ends) {
      expect(end).toMatchObject({
        status: 'rejected',
        reason: { reason: 'SERVICE_UNAVAILABLE', message: /stopping/ },
      });
    }
    expect(stops).toEqual([true]);
    expect(records.server.stopping.aborted).toBe(true);
  });

  it('lets unary calls in flight finish when it stops', async () => {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    let enter: () => void = () => undefined;
    const entered = new Promise<void>((resolve) => (enter = resolve));
    records = await startRecordServer({
      getRecord: async () => {
        enter();
        await released;
        return { record: { id: 'kept' } };
      },
    });
    const call = records.client.getRecord({});
    await entered;
    const stopped = records.server.stop();
    release();
    expect((await call).record?.id).toBe('kept');
    await stopped;
  });
});
