import { canonicalJson, parseJson, RejectedRecordError, type Keyring } from '@tidemark/model';
import { connectionKey, type Connection, type ConnectionKey } from './connection.js';
import type { SourceTarget } from './connectors.js';
import type { RateAccount } from './rate-budgets.js';

/** Purpose of credentials that are sealed; their owner is the connection's key. */
export const CREDENTIALS = 'credentials';
/** Purpose of the hashes that name accounts. */
const ACCOUNTS = 'rate-accounts';

const NO_CREDENTIALS = new Uint8Array(0);

/** A source that a connection may read, at its account's rate. */
export interface ReadTarget extends SourceTarget {
  readonly account: RateAccount;
}

/** Turns connections into what their connectors need, the only place where credentials are opened to be used. */
export class SourceTargets {
  constructor(private readonly keyring: Keyring) {}

  /** How to reach the source of a connection. Throws KEY_UNAVAILABLE. */
  of(
    connection: Pick<Connection, 'tenantId' | 'id' | 'connector' | 'config' | 'sealedCredentials' | 'budget'>,
  ): ReadTarget {
    const key = connectionKey(connection);
    const { connector, config, sealedCredentials, budget } = connection;
    const credentials =
      sealedCredentials === undefined
        ? NO_CREDENTIALS
        : this.keyring.open(sealedCredentials, CREDENTIALS, key);
    const id = this.accountId(connector, config, credentials);
    const account = { id, ...(budget === undefined ? {} : { budget }) };
    return { breaker: key, connector, settings: { config, credentials }, account };
  }

  /** Seals credentials for a connection; undefined if there are none. */
  seal(key: ConnectionKey, credentials: Uint8Array): Uint8Array | undefined {
    if (credentials.byteLength === 0) return undefined;
    return this.keyring.seal(credentials, CREDENTIALS, connectionKey(key));
  }

  /**
   * Equal for equal credentials at one server, whatever else the config says and whoever's they are: the source counts them so.
   * Without credentials it counts who reads the same.
   */
  private accountId(connector: string, config: Uint8Array, credentials: Uint8Array): string {
    const secret = identityOf(credentials);
    const parts = secret === '' || secret === '{}' ? ['', identityOf(config)] : [originOf(config), secret];
    const hash = this.keyring.keyedHash(Buffer.from(JSON.stringify([connector, ...parts])), ACCOUNTS);
    return Buffer.from(hash).toString('base64url');
  }
}

/** Equal for equal JSON however it is written. */
function identityOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString();
  if (text === '') return '';
  try {
    return canonicalJson(parseJson(text)).identity;
  } catch (error) {
    // Nested too deeply to compare; then only what is written alike counts as equal.
    if (error instanceof RejectedRecordError) return text;
    throw error;
  }
}

/** The server that a config names by its `url`, if it does. */
function originOf(config: Uint8Array): string {
  const { url }: { url?: unknown } = JSON.parse(Buffer.from(config).toString()) as object;
  return typeof url === 'string' && URL.canParse(url) ? new URL(url).origin : '';
}
