import {
  masterKeySettings,
  masterKeyVariables,
  readEnvironment,
  serviceSettings,
  serviceVariables,
  type Environment,
  type MasterKeySettings,
  type ServiceSettings,
} from '@tidemark/runtime';
import { z } from 'zod';
import type { RetentionPeriods } from './mongo-retention.js';

/** Settings of the store service. */
export interface StoreConfig extends ServiceSettings, MasterKeySettings {
  /** The records database, with its name. */
  readonly mongodbUri: string;
  readonly retention: RetentionPeriods;
}

const DAY_MS = 86_400_000;

const days = z.coerce.number('must be a number of days').int('must be whole days').min(1).max(3_650);

const schema = z
  .object({
    ...serviceVariables,
    ...masterKeyVariables,
    TIDEMARK_STORE_MONGODB_URI: z.string().startsWith('mongodb', 'a mongodb:// address with a database name'),
    TIDEMARK_HISTORY_DAYS: days.default(30),
    TIDEMARK_TOMBSTONE_DAYS: days.default(90),
  })
  .refine((values) => values.TIDEMARK_TOMBSTONE_DAYS >= values.TIDEMARK_HISTORY_DAYS, {
    path: ['TIDEMARK_TOMBSTONE_DAYS'],
    message: 'must be no less than TIDEMARK_HISTORY_DAYS',
  });

/** Reads the settings; all faults are listed in one CONFIG_INVALID. */
export function readConfig(env: Environment): StoreConfig {
  const values = readEnvironment(schema, env);
  return Object.freeze({
    ...serviceSettings(values),
    ...masterKeySettings(values),
    mongodbUri: values.TIDEMARK_STORE_MONGODB_URI,
    retention: {
      historyMs: values.TIDEMARK_HISTORY_DAYS * DAY_MS,
      tombstoneMs: values.TIDEMARK_TOMBSTONE_DAYS * DAY_MS,
    },
  });
}
