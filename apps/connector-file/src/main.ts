import { serveConnector } from '@tidemark/connector-kit';
import { internalAuth, startServer, type RpcServer } from '@tidemark/rpc';
import { configure, createLogger, runService } from '@tidemark/runtime';
import { readConfig } from './config.js';
import { FileConnector } from './file-connector.js';
import { Roots } from './roots.js';

const config = configure((env) => readConfig(env, process.cwd()), process.env);
const logger = createLogger({ service: 'connector-file', level: config.logLevel });
const connector = serveConnector(new FileConnector(new Roots(config.roots)));

let server: RpcServer | undefined;

const service = await runService({
  name: 'connector-file',
  logger,
  parts: [
    {
      name: 'server',
      start: async () => {
        const middleware = [internalAuth(config.internalToken)];
        server = await startServer({ address: config.listen, services: [connector], logger, middleware });
      },
      stop: () => server?.stop(),
    },
  ],
});
if (server !== undefined) service.announce(server.address);
