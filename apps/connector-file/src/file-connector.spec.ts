import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { serveConnector } from '@tidemark/connector-kit';
import { ConnectorServiceDefinition, SyncKind } from '@tidemark/contracts';
import { createClient, internalAuth, startServer, type RpcClient, type RpcServer } from '@tidemark/rpc';
import { FileConnector } from './file-connector.js';
import { Roots } from './roots.js';
import { FileSource } from './testing/file-source.js';

const internalToken = 'only-the-tests-of-connector-file-know-this-token';
const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

let source: FileSource;
let server: RpcServer;
let client: RpcClient<typeof ConnectorServiceDefinition>;

beforeEach(async () => {
  source = await FileSource.start();
  const services = [serveConnector(new FileConnector(new Roots([source.folder])))];
  server = await startServer({
    address: '127.0.0.1:0',
    services,
    logger: silent,
    middleware: [internalAuth(internalToken)],
  });
  client = createClient(ConnectorServiceDefinition, server.address, { credential: { internalToken } });
});

afterEach(async () => {
  client.close();
  await server.stop();
  await source.stop();
});

const request = (model: string) => ({
  settings: source.settings({}),
  model,
  kind: SyncKind.FULL,
  fields: ['id', 'name'],
  fingerprintKey: Buffer.alloc(32, 7),
  pageRecords: 100,
  pageBytes: 1_000_000,
  overlap: undefined,
});

describe('the file connector as a service', () => {
  it('describes itself', async () => {
    const { name, configSchema } = await client.describe({});
    expect(name).toBe('file');
    expect(JSON.parse(Buffer.from(configSchema).toString())).toMatchObject({ required: ['path'] });
  });

  it('streams the same pages as it reads', async () => {
    await source.write(
      'people.csv',
      `id,name,ssn\n${Array.from({ length: 250 }, (_, i) => `${i},Zoë ${i},x\n`).join('')}`,
    );
    const messages = [];
    for await (const { message } of client.read(request('people'))) messages.push(message);
    expect(messages.map((message) => message?.$case)).toEqual(['page', 'page', 'page', 'end']);
    const expected = await source.read({}, 'people', { pageRecords: 100 });
    const pages = messages.flatMap((message) => (message?.$case === 'page' ? [message.value] : []));
    expect(pages.map((page) => page.records.map(({ id }) => id))).toEqual(
      expected.pages.map((page) => page.records.map(({ id }) => id)),
    );
    expect(Buffer.from(pages[0]?.records[3]?.payload ?? []).toString()).toBe('{"id":"3","name":"Zoë 3"}');
  });

  it('answers with typed errors', async () => {
    await expect(client.check({ settings: { config: Buffer.from('{}') } })).rejects.toMatchObject({
      reason: 'SOURCE_CONFIG_INVALID',
      violations: [{ field: 'config.path' }],
    });
    const stream = client.read(request('nobody'))[Symbol.asyncIterator]();
    await expect(stream.next()).rejects.toMatchObject({ reason: 'SOURCE_GONE' });
  });
});
