import { randomBytes } from 'node:crypto';
import type { Bed } from './bed.js';
import { startAlone, type RunningService } from './service-process.js';

/** What the stores of one section share. */
export interface StoreGroup {
  readonly database: string;
  readonly internalToken: string;
  readonly masterKey: string;
}

/** Settings for stores on a database of their own. */
export function storeGroup(database: string): StoreGroup {
  return {
    database,
    internalToken: randomBytes(32).toString('hex'),
    masterKey: randomBytes(32).toString('base64'),
  };
}

/** Starts a store. */
export async function startStore(bed: Bed, group: StoreGroup, name: string): Promise<RunningService> {
  return startAlone(bed, 'store', name, group);
}
