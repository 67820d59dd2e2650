import { setDefaultHighWaterMark } from 'node:stream';
import { configure, createLogger, runService } from '@tidemark/runtime';
import { readConfig } from './config.js';
import { startGateway, type Gateway } from './gateway.js';

// gRPC queues this many messages on each side of a stream. With Node's default of 16, a reader that stalls would keep
// 32 pages in this process, up to 32 MiB; two keep the relay as fast.
setDefaultHighWaterMark(true, 2);

const config = configure(readConfig, process.env);
const logger = createLogger({ service: 'gateway', level: config.logLevel });

let gateway: Gateway | undefined;

const service = await runService({
  name: 'gateway',
  logger,
  parts: [
    {
      name: 'server',
      start: async () => {
        gateway = await startGateway(config, logger);
      },
      stop: () => gateway?.stop(),
    },
  ],
});
if (gateway !== undefined) service.announce(gateway.address);
