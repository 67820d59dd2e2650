import type { ConnectionKey } from './connection.js';
import type { Connections } from './connections.js';
import type { StoreClient } from './store-client.js';

/** Removes what the store holds of a connection that is not there any more, or is being deleted. */
export async function removeOrphan(
  key: ConnectionKey,
  connections: Pick<Connections, 'stateOf'>,
  store: Pick<StoreClient, 'removeConnection'>,
): Promise<void> {
  await store.removeConnection(key, async () => {
    const state = await connections.stateOf(key);
    return state === undefined || state === 'DELETING';
  });
}
