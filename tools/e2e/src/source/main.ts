import { once } from 'node:events';
import { internalAuth, startServer, type RpcServer } from '@tidemark/rpc';
import { configure, createLogger, runService } from '@tidemark/runtime';
import { Changers } from './changers.js';
import { readConfig } from './config.js';
import { Control } from './control.js';
import { livingService } from './faulty-service.js';
import { Journal } from './journal.js';

const config = configure(readConfig, process.env);
const logger = createLogger({ service: 'living-source', level: config.logLevel });
const journal = new Journal(config.file);
const changers = new Changers(journal);

let connector: RpcServer | undefined;
const control = new Control(journal, () => connector?.address ?? '').server();

const service = await runService({
  name: 'living-source',
  logger,
  parts: [
    { name: 'changers', start: () => changers.start(), stop: () => changers.stop() },
    {
      name: 'connector',
      start: async () => {
        const middleware = [internalAuth(config.internalToken)];
        const services = [livingService(journal)];
        connector = await startServer({ address: config.listen, services, logger, middleware });
      },
      stop: () => connector?.stop(),
    },
    {
      name: 'control',
      start: async () => {
        const [host, port] = config.control.split(':');
        control.listen(Number(port), host);
        await once(control, 'listening');
      },
      stop: () => {
        control.close();
        control.closeAllConnections();
      },
    },
  ],
});
const bound = control.address();
if (bound !== null && typeof bound === 'object') service.announce(`${bound.address}:${bound.port}`);
