import {
  readEnvironment,
  serviceSettings,
  serviceVariables,
  type Environment,
  type ServiceSettings,
} from '@tidemark/runtime';
import { z } from 'zod';

/** Settings of the store service. */
export interface StoreConfig extends ServiceSettings {
  /** The records database, with its name. */
  readonly mongodbUri: string;
}

const schema = z.object({
  ...serviceVariables,
  TIDEMARK_STORE_MONGODB_URI: z.string().startsWith('mongodb', 'a mongodb:// address with a database name'),
});

/** Reads the settings; all faults are listed in one CONFIG_INVALID. */
export function readConfig(env: Environment): StoreConfig {
  const values = readEnvironment(schema, env);
  return Object.freeze({ ...serviceSettings(values), mongodbUri: values.TIDEMARK_STORE_MONGODB_URI });
}
