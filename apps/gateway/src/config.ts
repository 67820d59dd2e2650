import {
  address,
  logLevel,
  readEnvironment,
  secret,
  type Environment,
  type LogLevel,
} from '@tidemark/runtime';
import { z } from 'zod';

/** Where the gateway listens, and the services behind it. */
export interface Config {
  /** `host:port` of the public API. */
  readonly listen: string;
  /** What the services prove themselves to each other with. */
  readonly internalToken: string;
  readonly logLevel: LogLevel;
  /** `host:port` of the store. */
  readonly storeAddress: string;
  /** `host:port` of the scheduler. */
  readonly schedulerAddress: string;
}

const SCHEMA = z.object({
  TIDEMARK_LISTEN: address.default('127.0.0.1:0'),
  TIDEMARK_INTERNAL_TOKEN: secret,
  TIDEMARK_LOG_LEVEL: logLevel,
  TIDEMARK_STORE_ADDRESS: address,
  TIDEMARK_SCHEDULER_ADDRESS: address,
});

/** Reads the gateway's settings. Throws CONFIG_INVALID that names every faulty variable. */
export function readConfig(env: Environment): Config {
  const values = readEnvironment(SCHEMA, env);
  return Object.freeze({
    listen: values.TIDEMARK_LISTEN,
    internalToken: values.TIDEMARK_INTERNAL_TOKEN,
    logLevel: values.TIDEMARK_LOG_LEVEL,
    storeAddress: values.TIDEMARK_STORE_ADDRESS,
    schedulerAddress: values.TIDEMARK_SCHEDULER_ADDRESS,
  });
}
