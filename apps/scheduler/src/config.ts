import {
  address,
  masterKeySettings,
  masterKeyVariables,
  readEnvironment,
  serviceSettings,
  serviceVariables,
  type Environment,
  type MasterKeySettings,
  type ServiceSettings,
} from '@tidemark/runtime';
import { parseApiKey, type RunLimits } from '@tidemark/model';
import { z } from 'zod';

/** Settings of the scheduler. */
export interface SchedulerConfig extends ServiceSettings, MasterKeySettings {
  /** The control database, with its name. */
  readonly mongodbUri: string;
  readonly storeAddress: string;
  /** Addresses of the connectors by name. */
  readonly connectors: ReadonlyMap<string, string>;
  /** An API key that is made to exist, with every role in tenant `default`. */
  readonly bootstrapApiKey: string | undefined;
  readonly leaseMs: number;
  /** How long a source may send nothing, beyond what it asked to wait, until that counts as an outage. */
  readonly silenceMs: number;
  /** Runs that one process works on at once. */
  readonly slots: number;
  /** Runs at a time, over all processes. */
  readonly limits: RunLimits;
}

const CONNECTOR = /^([a-z][a-z0-9-]{0,62})=(.+:\d{1,5})$/;

const schema = z.object({
  ...serviceVariables,
  ...masterKeyVariables,
  TIDEMARK_CONTROL_MONGODB_URI: z
    .string()
    .startsWith('mongodb', 'must be a mongodb:// address with a database name'),
  TIDEMARK_STORE_ADDRESS: address,
  TIDEMARK_CONNECTORS: z.string().transform((text, context) => {
    const entries = text.split(',').map((entry) => CONNECTOR.exec(entry.trim()));
    if (entries.every((entry) => entry !== null))
      return entries.map((entry) => [entry[1] ?? '', entry[2] ?? ''] as const);
    context.addIssue({ code: 'custom', message: 'must be name=host:port entries, separated by commas' });
    return z.NEVER;
  }),
  TIDEMARK_BOOTSTRAP_API_KEY: z.string().refine(isApiKey, 'must look like tm_<id>_<secret>').optional(),
  TIDEMARK_LEASE_SECONDS: z.coerce.number().min(1).max(600).default(15),
  TIDEMARK_SOURCE_SILENCE_SECONDS: z.coerce.number().min(1).max(3_600).default(300),
  TIDEMARK_RUN_SLOTS: z.coerce.number().int().min(1).max(1_000).default(16),
  TIDEMARK_RUNS_PER_TENANT: z.coerce.number().int().min(1).max(10_000).default(8),
  TIDEMARK_RUNS_PER_CONNECTOR: z.coerce.number().int().min(1).max(10_000).default(12),
});

/** Reads the settings; all faults are listed in one CONFIG_INVALID. */
export function readConfig(env: Environment): SchedulerConfig {
  const values = readEnvironment(schema, env);
  return Object.freeze({
    ...serviceSettings(values),
    ...masterKeySettings(values),
    mongodbUri: values.TIDEMARK_CONTROL_MONGODB_URI,
    storeAddress: values.TIDEMARK_STORE_ADDRESS,
    connectors: new Map(values.TIDEMARK_CONNECTORS),
    bootstrapApiKey: values.TIDEMARK_BOOTSTRAP_API_KEY,
    leaseMs: values.TIDEMARK_LEASE_SECONDS * 1_000,
    silenceMs: values.TIDEMARK_SOURCE_SILENCE_SECONDS * 1_000,
    slots: values.TIDEMARK_RUN_SLOTS,
    limits: {
      perTenant: values.TIDEMARK_RUNS_PER_TENANT,
      perConnector: values.TIDEMARK_RUNS_PER_CONNECTOR,
    },
  });
}

function isApiKey(text: string): boolean {
  try {
    parseApiKey(text);
    return true;
  } catch {
    // The one thing that parsing can say.
    return false;
  }
}
