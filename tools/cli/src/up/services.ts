import { join } from 'node:path';
import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Environment } from '@tidemark/runtime';
import { databaseAddress } from './mongo-address.js';
import type { Secrets } from './secrets.js';
import type { ServiceSpec } from './service-process.js';

/** The folder above `apps` and `tools`. */
export const REPOSITORY = fileURLToPath(new URL('../../../../', import.meta.url));

/** The services that `tidemark up` runs. */
export type ServiceName = 'store' | 'connector-file' | 'scheduler' | 'gateway';

/** With code, stacks and buffers, no service comes near 300 MB. */
const HEAP_MB: Readonly<Record<ServiceName, number>> = {
  store: 160,
  'connector-file': 128,
  scheduler: 160,
  gateway: 128,
};

/** What the services of one data folder share. */
export interface Surroundings {
  readonly env: Environment;
  readonly secrets: Secrets;
  readonly mongodbUri: string;
  readonly fileRoots: readonly string[];
  readonly logsDir: string;
  readonly gatewayPort: number;
}

/** Addresses of the services that are up. */
export type Addresses = Partial<Record<ServiceName, string>>;

/** What to run for a service, given the addresses of those before it. */
export function serviceSpec(
  name: ServiceName,
  surroundings: Surroundings,
  addresses: Addresses,
): ServiceSpec {
  return {
    name,
    main: join(REPOSITORY, 'apps', name, 'dist', 'main.js'),
    env: {
      ...inherited(surroundings.env),
      TIDEMARK_LISTEN: '127.0.0.1:0',
      TIDEMARK_INTERNAL_TOKEN: surroundings.secrets.internalToken,
      ...settingsOf(name, surroundings, addresses),
    },
    heapMb: HEAP_MB[name],
    logFile: join(surroundings.logsDir, `${name}.log`),
  };
}

function settingsOf(name: ServiceName, surroundings: Surroundings, addresses: Addresses): Environment {
  const { env, secrets, mongodbUri, fileRoots, gatewayPort } = surroundings;
  switch (name) {
    case 'store':
      return {
        TIDEMARK_STORE_MONGODB_URI: databaseAddress(mongodbUri, 'store'),
        ...masterKeys(secrets),
      };
    case 'connector-file':
      return { TIDEMARK_FILE_ROOTS: fileRoots.join(delimiter) };
    case 'scheduler':
      return {
        TIDEMARK_CONTROL_MONGODB_URI: databaseAddress(mongodbUri, 'control'),
        TIDEMARK_STORE_ADDRESS: addresses.store,
        // Those of the environment are run by somebody else.
        TIDEMARK_CONNECTORS: [`file=${addresses['connector-file'] ?? ''}`, env['TIDEMARK_CONNECTORS'] ?? []]
          .flat()
          .join(','),
        ...masterKeys(secrets),
        TIDEMARK_BOOTSTRAP_API_KEY: secrets.apiKey,
      };
    case 'gateway':
      return {
        TIDEMARK_LISTEN: `127.0.0.1:${String(gatewayPort)}`,
        TIDEMARK_STORE_ADDRESS: addresses.store,
        TIDEMARK_SCHEDULER_ADDRESS: addresses.scheduler,
      };
  }
}

function masterKeys({ masterKey, previousMasterKeys }: Secrets): Environment {
  return {
    TIDEMARK_MASTER_KEY: masterKey,
    // An empty variable counts as absent.
    TIDEMARK_PREVIOUS_MASTER_KEYS: previousMasterKeys.join(','),
  };
}

/** The environment without what is ours to set, and without the database's address, which not all may know. */
function inherited(env: Environment): Environment {
  const passed = [
    'TIDEMARK_LOG_LEVEL',
    'TIDEMARK_LEASE_SECONDS',
    'TIDEMARK_SOURCE_SILENCE_SECONDS',
    'TIDEMARK_RUN_SLOTS',
    'TIDEMARK_RUNS_PER_TENANT',
    'TIDEMARK_RUNS_PER_CONNECTOR',
    'TIDEMARK_HISTORY_DAYS',
    'TIDEMARK_TOMBSTONE_DAYS',
  ];
  return Object.fromEntries(
    Object.entries(env).filter(
      ([name]) => passed.includes(name) || !(name.startsWith('TIDEMARK_') || name === 'MONGODB_URI'),
    ),
  );
}
