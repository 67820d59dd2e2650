import type { Keyring } from '@tidemark/model';
import { connectionKey, type Connection, type ConnectionKey } from './connection.js';
import type { SourceTarget } from './connectors.js';

/** Purpose of credentials that are sealed; their owner is the connection's key. */
export const CREDENTIALS = 'credentials';

const NO_CREDENTIALS = new Uint8Array(0);

/** Turns connections into what their connectors need, the only place where credentials are opened to be used. */
export class SourceTargets {
  constructor(private readonly keyring: Keyring) {}

  /** How to reach the source of a connection. Throws KEY_UNAVAILABLE. */
  of(
    connection: Pick<Connection, 'tenantId' | 'id' | 'connector' | 'config' | 'sealedCredentials'>,
  ): SourceTarget {
    const key = connectionKey(connection);
    const { connector, config, sealedCredentials } = connection;
    const credentials =
      sealedCredentials === undefined
        ? NO_CREDENTIALS
        : this.keyring.open(sealedCredentials, CREDENTIALS, key);
    return { breaker: key, connector, settings: { config, credentials } };
  }

  /** Seals credentials for a connection; undefined if there are none. */
  seal(key: ConnectionKey, credentials: Uint8Array): Uint8Array | undefined {
    if (credentials.byteLength === 0) return undefined;
    return this.keyring.seal(credentials, CREDENTIALS, connectionKey(key));
  }
}
