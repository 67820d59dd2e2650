import { setDefaultHighWaterMark } from 'node:stream';
import { Keyring } from '@tidemark/model';
import { connectMongo } from '@tidemark/mongo';
import { internalAuth, startServer, type RpcServer } from '@tidemark/rpc';
import { configure, createLogger, runService } from '@tidemark/runtime';
import { readConfig } from './config.js';
import { StoreDatabase } from './mongo-collections.js';
import { databaseErrors } from './mongo-errors.js';
import { createStore, type Store } from './store.js';

// gRPC queues so many pages for each stream; 16 of them, its default, would let stalled readers fill the memory.
setDefaultHighWaterMark(true, 2);

const config = configure(readConfig, process.env);
const logger = createLogger({ service: 'store', level: config.logLevel });

let client: Awaited<ReturnType<typeof connectMongo>>;
let store: Store;
let server: RpcServer | undefined;

const service = await runService({
  name: 'store',
  logger,
  parts: [
    {
      name: 'database',
      start: async () => {
        client = await connectMongo(config.mongodbUri, { appName: 'tidemark-store' });
        const db = new StoreDatabase(client, client.db());
        const keyring = new Keyring(config.masterKey, config.previousMasterKeys);
        store = await createStore(db, logger, { keyring, retention: config.retention });
      },
      stop: () => client.close(),
    },
    { name: 'change feed', start: () => undefined, stop: () => store.feed.stop() },
    { name: 'resealing', start: () => store.resealing.start(), stop: () => store.resealing.stop() },
    {
      name: 'server',
      start: async () => {
        const middleware = [internalAuth(config.internalToken), databaseErrors];
        server = await startServer({ address: config.listen, services: store.services, logger, middleware });
      },
      stop: () => server?.stop(),
    },
  ],
});
if (server !== undefined) service.announce(server.address);
