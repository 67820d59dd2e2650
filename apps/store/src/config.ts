import { address, logLevel, readEnvironment, secret } from '@tidemark/runtime';
import { z } from 'zod';

/** Settings of the store service. */
export interface StoreConfig {
  /** Where to listen, host:port. */
  readonly listen: string;
  /** What services prove themselves to each other with. */
  readonly internalToken: string;
  /** The records database, with its name. */
  readonly mongodbUri: string;
  readonly logLevel: z.infer<typeof logLevel>;
}

const schema = z.object({
  TIDEMARK_LISTEN: address.default('127.0.0.1:0'),
  TIDEMARK_INTERNAL_TOKEN: secret,
  TIDEMARK_STORE_MONGODB_URI: z.string().startsWith('mongodb', 'a mongodb:// address with a database name'),
  TIDEMARK_LOG_LEVEL: logLevel,
});

/** Reads the settings; all faults are listed in one CONFIG_INVALID. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): StoreConfig {
  const values = readEnvironment(schema, env);
  return {
    listen: values.TIDEMARK_LISTEN,
    internalToken: values.TIDEMARK_INTERNAL_TOKEN,
    mongodbUri: values.TIDEMARK_STORE_MONGODB_URI,
    logLevel: values.TIDEMARK_LOG_LEVEL,
  };
}
