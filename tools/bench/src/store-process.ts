import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { ServiceProcess, serviceSpec } from '@tidemark/cli';
import type { Bed } from './bed.js';

/** What the stores of one section share. */
export interface StoreGroup {
  readonly database: string;
  readonly internalToken: string;
  readonly masterKey: string;
}

/** A store service in a process of its own. */
export interface StoreProcess {
  readonly name: string;
  readonly pid: number | undefined;
  readonly address: string;
  stop(): Promise<void>;
}

/** Settings for stores on a database of their own. */
export function storeGroup(database: string): StoreGroup {
  return {
    database,
    internalToken: randomBytes(32).toString('hex'),
    masterKey: randomBytes(32).toString('base64'),
  };
}

/** Starts a store with the settings that `tidemark up` gives it. */
export async function startStore(bed: Bed, group: StoreGroup, name: string): Promise<StoreProcess> {
  const spec = serviceSpec(
    'store',
    {
      env: bed.env,
      secrets: { ...group, previousMasterKeys: [], apiKey: '' },
      mongodbUri: bed.mongo.uri.replace('/?', `/${group.database}?`),
      fileRoots: [],
      logsDir: join(bed.folder, 'logs'),
      gatewayPort: 0,
    },
    {},
  );
  const logFile = join(bed.folder, 'logs', `${group.database}-${name}.log`);
  const failed = new AbortController();
  const service = new ServiceProcess(
    { ...spec, logFile },
    { onTrouble: bed.say, onUnexpectedEnd: (failure) => failed.abort(failure) },
  );
  const address = await service.ready(AbortSignal.any([bed.signal, failed.signal]));
  return { name, pid: service.pid, address, stop: () => service.stop() };
}
