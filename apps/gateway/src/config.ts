import {
  address,
  readEnvironment,
  serviceSettings,
  serviceVariables,
  type Environment,
  type ServiceSettings,
} from '@tidemark/runtime';
import { z } from 'zod';

/** Where the gateway listens, and the services behind it. */
export interface Config extends ServiceSettings {
  /** `host:port` of the store. */
  readonly storeAddress: string;
  /** `host:port` of the scheduler. */
  readonly schedulerAddress: string;
}

const SCHEMA = z.object({
  ...serviceVariables,
  TIDEMARK_STORE_ADDRESS: address,
  TIDEMARK_SCHEDULER_ADDRESS: address,
});

/** Reads the gateway's settings. Throws CONFIG_INVALID that names every faulty variable. */
export function readConfig(env: Environment): Config {
  const values = readEnvironment(SCHEMA, env);
  return Object.freeze({
    ...serviceSettings(values),
    storeAddress: values.TIDEMARK_STORE_ADDRESS,
    schedulerAddress: values.TIDEMARK_SCHEDULER_ADDRESS,
  });
}
