import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { TidemarkError } from '@tidemark/model';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** A parsed `host:port`; an IPv6 host keeps its brackets. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * Parses `host:port` and refuses hosts off loopback: without TLS, credentials and records would cross the network
 * in the clear. Throws CONFIG_INVALID.
 */
export function parseLoopbackAddress(address: string): Address {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+):(\d{1,5})$/.exec(address);
  const host = match?.[1];
  const port = Number(match?.[2]);
  if (host === undefined || port > 65_535) {
    throw new TidemarkError(
      'CONFIG_INVALID',
      `the address '${address}' is not host:port (example: 127.0.0.1:7100)`,
    );
  }
  if (!isLoopback(host)) {
    throw new TidemarkError(
      'CONFIG_INVALID',
      `the address '${address}' is not on loopback; that needs TLS, which is not available yet`,
    );
  }
  return { host, port };
}

function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  if (isIPv4(bare)) {
    return LOOPBACK.check(bare, 'ipv4');
  }
  return isIPv6(bare) ? LOOPBACK.check(bare, 'ipv6') : bare === 'localhost';
}
