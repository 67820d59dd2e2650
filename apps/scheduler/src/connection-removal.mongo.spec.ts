import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { StoreServiceDefinition, type RemoveConnectionResponse } from '@tidemark/contracts';
import { bind, fastDefinition, startServer, type RpcServer } from '@tidemark/rpc';
import { createLogger } from '@tidemark/runtime';
import { ConnectionRemoval } from './connection-removal.js';
import type { ControlDatabase } from './mongo-collections.js';
import { MongoConnections } from './mongo-connections.js';
import { MongoRuns } from './mongo-runs.js';
import { removeOrphan } from './orphans.js';
import { RunActions } from './run-actions.js';
import { StoreClient } from './store-client.js';
import { aConnection } from './testing/a-connection.js';
import { testControlDatabase } from './testing/control-database.js';

const TOKEN = 'a-token-of-at-least-32-characters';
const deleted = aConnection({ state: 'DELETING', createTime: new Date(1_000) });
const made = aConnection({ createTime: new Date(2_000) });

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let db: ControlDatabase;
let server: RpcServer;
let store: StoreClient;
let connections: MongoConnections;
let removal: ConnectionRemoval;
let batches = 0;
/** What happens in the store while it removes a batch. */
let onBatch: () => Promise<void>;

/** The end of the wire: what is asked of the store, not what it does. */
const storeService = {
  removeConnection: async (): Promise<RemoveConnectionResponse> => {
    batches++;
    await onBatch();
    return { done: batches >= 3, removedRecords: 10n };
  },
};

beforeAll(async () => {
  database = await testControlDatabase();
  db = database.db;
  const definition = fastDefinition({
    ...StoreServiceDefinition,
    methods: { removeConnection: StoreServiceDefinition.methods.removeConnection },
  });
  const logger = createLogger({ service: 'test', level: 'error' });
  server = await startServer({ address: '127.0.0.1:0', services: [bind(definition, storeService)], logger });
  store = new StoreClient(server.address, TOKEN);
  connections = new MongoConnections(db);
  const runs = new MongoRuns(db);
  const actions = new RunActions(runs, () => undefined);
  const schedules = { remove: () => Promise.resolve() };
  removal = new ConnectionRemoval(connections, runs, actions, schedules, store);
});
afterAll(async () => {
  store.close();
  await server.stop();
  await database.drop();
});
beforeEach(async () => {
  batches = 0;
  onBatch = () => Promise.resolve();
  await db.connections.deleteMany({});
});

/** What another process does that removes the same connection, and a person who makes another of its name. */
async function overtake(): Promise<void> {
  await connections.remove(deleted);
  await connections.insert(made);
}

describe('the removal of a connection', () => {
  test('takes all of it', async () => {
    await connections.insert(deleted);
    await removal.finish(deleted);
    expect(batches).toBe(3);
    expect(await connections.find(deleted)).toBeUndefined();
  });

  test('left half-done is not finished on a connection that was made of its name since', async () => {
    await connections.insert(made);
    await removal.finish(deleted);
    expect(batches).toBe(0);
    expect(await connections.stateOf(made)).toBe('ACTIVE');
  });

  test('stops when another process was faster', async () => {
    await connections.insert(deleted);
    onBatch = overtake;
    await removal.remove(deleted);
    expect(batches).toBe(1);
    expect(await connections.stateOf(made)).toBe('ACTIVE');
  });
});

describe('what the store holds without a connection', () => {
  test('is removed, and left alone if there is one', async () => {
    await removeOrphan(made, connections, store);
    expect(batches).toBe(3);
    batches = 0;
    await connections.insert(made);
    await removeOrphan(made, connections, store);
    expect(batches).toBe(0);
  });
});
