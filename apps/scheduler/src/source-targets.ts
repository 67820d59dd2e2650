import { connectionKey, type Connection, type ConnectionKey } from './connection.js';
import type { SourceTarget } from './connectors.js';
import type { Sealer } from './seal.js';

const NO_CREDENTIALS = new Uint8Array(0);

/** Turns connections into what their connectors need, the only place where credentials are opened. */
export class SourceTargets {
  constructor(private readonly sealer: Sealer) {}

  /** How to reach the source of a connection. */
  of(
    connection: Pick<Connection, 'tenantId' | 'id' | 'connector' | 'config' | 'sealedCredentials'>,
  ): SourceTarget {
    const key = connectionKey(connection);
    const { connector, config, sealedCredentials } = connection;
    const credentials =
      sealedCredentials === undefined ? NO_CREDENTIALS : this.sealer.open(sealedCredentials, key);
    return { breaker: key, connector, settings: { config, credentials } };
  }

  /** Seals credentials for a connection; undefined if there are none. */
  seal(key: ConnectionKey, credentials: Uint8Array): Uint8Array | undefined {
    return credentials.byteLength === 0 ? undefined : this.sealer.seal(credentials, connectionKey(key));
  }
}
