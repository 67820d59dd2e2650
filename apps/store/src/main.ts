import { setDefaultHighWaterMark } from 'node:stream';
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
        store = await createStore(new StoreDatabase(client, client.db()), logger);
      },
      stop: () => client.close(),
    },
    { name: 'change feed', start: () => store.feed.start(), stop: () => store.feed.stop() },
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
