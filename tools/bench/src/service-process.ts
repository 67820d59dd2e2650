import { join } from 'node:path';
import { ServiceProcess, serviceSpec } from '@tidemark/cli';
import type { Bed } from './bed.js';

/** A service in a process of its own. */
export interface RunningService {
  readonly name: string;
  readonly pid: number | undefined;
  readonly address: string;
  stop(): Promise<void>;
}

/** What a service is told beyond what `tidemark up` tells it. */
export interface ServiceSettings {
  readonly database?: string;
  readonly internalToken: string;
  readonly masterKey?: string;
  readonly fileRoots?: readonly string[];
}

/** Starts a service that needs no other, with the settings that `tidemark up` gives it. */
export async function startAlone(
  bed: Bed,
  service: 'store' | 'connector-file',
  name: string,
  { database = '', internalToken, masterKey = '', fileRoots = [] }: ServiceSettings,
): Promise<RunningService> {
  const spec = serviceSpec(
    service,
    {
      env: bed.env,
      secrets: { internalToken, masterKey, previousMasterKeys: [], apiKey: '' },
      mongodbUri: bed.mongo.uri.replace('/?', `/${database}?`),
      fileRoots,
      logsDir: join(bed.folder, 'logs'),
      gatewayPort: 0,
    },
    {},
  );
  const logFile = join(bed.folder, 'logs', `${database}-${name}.log`);
  const failed = new AbortController();
  const running = new ServiceProcess(
    { ...spec, logFile },
    { onTrouble: bed.say, onUnexpectedEnd: (failure) => failed.abort(failure) },
  );
  const address = await running.ready(AbortSignal.any([bed.signal, failed.signal]));
  return { name, pid: running.pid, address, stop: () => running.stop() };
}
