import { expect, test } from '@jest/globals';
import { readConfig } from './config.js';

const good = {
  TIDEMARK_INTERNAL_TOKEN: 'x'.repeat(32),
  TIDEMARK_CONTROL_MONGODB_URI: 'mongodb://127.0.0.1:27017/tidemark_control',
  TIDEMARK_STORE_ADDRESS: '127.0.0.1:7101',
  TIDEMARK_CONNECTORS: 'file=127.0.0.1:7105, http=127.0.0.1:7106',
  TIDEMARK_MASTER_KEY: Buffer.alloc(32).toString('base64'),
};

test('reads its settings, with defaults', () => {
  const config = readConfig(good);
  expect(config).toMatchObject({
    listen: '127.0.0.1:0',
    leaseMs: 15_000,
    bootstrapApiKey: undefined,
    logLevel: 'info',
  });
  expect([...config.connectors]).toEqual([
    ['file', '127.0.0.1:7105'],
    ['http', '127.0.0.1:7106'],
  ]);
  expect(config.masterKey).toHaveLength(32);
});

test.each([
  ['TIDEMARK_CONNECTORS', 'file'],
  ['TIDEMARK_CONNECTORS', 'file=127.0.0.1:7105,'],
  ['TIDEMARK_MASTER_KEY', Buffer.alloc(31).toString('base64')],
  ['TIDEMARK_MASTER_KEY', 'not base64!'],
  ['TIDEMARK_BOOTSTRAP_API_KEY', 'secret-that-is-no-key'],
  ['TIDEMARK_LEASE_SECONDS', '0'],
  ['TIDEMARK_STORE_ADDRESS', 'localhost'],
  ['TIDEMARK_CONTROL_MONGODB_URI', 'postgres://x'],
])('refuses %s=%s and does not quote it', (name, value) => {
  const refused = expect.objectContaining({
    reason: 'CONFIG_INVALID',
    violations: [expect.objectContaining({ field: name })],
  });
  expect(() => readConfig({ ...good, [name]: value })).toThrow(refused);
  expect(() => readConfig({ ...good, [name]: value })).not.toThrow(value);
});

test('lists all faults at once', () => {
  expect(() => readConfig({})).toThrow(
    /TIDEMARK_INTERNAL_TOKEN.*TIDEMARK_CONTROL_MONGODB_URI.*TIDEMARK_MASTER_KEY/s,
  );
});
