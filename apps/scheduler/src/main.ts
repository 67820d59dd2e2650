import { connectMongo } from '@tidemark/mongo';
import { internalAuth, startServer, type RpcServer } from '@tidemark/rpc';
import { configure, createLogger, runService } from '@tidemark/runtime';
import { readConfig } from './config.js';
import { databaseErrors } from './failure.js';
import { ControlDatabase } from './mongo-collections.js';
import { createScheduler, type Scheduler } from './scheduler.js';

const config = configure(readConfig, process.env);
const logger = createLogger({ service: 'scheduler', level: config.logLevel });

let client: Awaited<ReturnType<typeof connectMongo>>;
let scheduler: Scheduler;
let server: RpcServer | undefined;

const service = await runService({
  name: 'scheduler',
  logger,
  parts: [
    {
      name: 'database',
      start: async () => {
        client = await connectMongo(config.mongodbUri, { appName: 'tidemark-scheduler' });
        scheduler = await createScheduler(new ControlDatabase(client, client.db()), config, logger);
      },
      stop: () => client.close(),
    },
    {
      name: 'work',
      start: async () => {
        for (const part of scheduler.parts) await part.start();
      },
      stop: async () => {
        for (const part of scheduler.parts.toReversed()) await part.stop();
      },
    },
    {
      name: 'server',
      start: async () => {
        const middleware = [internalAuth(config.internalToken), databaseErrors];
        server = await startServer({
          address: config.listen,
          services: scheduler.services,
          logger,
          middleware,
        });
      },
      stop: () => server?.stop(),
    },
  ],
});
if (server !== undefined) service.announce(server.address);
