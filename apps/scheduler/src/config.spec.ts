import { expect, test } from '@jest/globals';
import { readConfig } from './config.js';

const key = (byte: number): string => Buffer.alloc(32, byte).toString('base64');

const good = {
  TIDEMARK_INTERNAL_TOKEN: 'x'.repeat(32),
  TIDEMARK_CONTROL_MONGODB_URI: 'mongodb://127.0.0.1:27017/tidemark_control',
  TIDEMARK_STORE_ADDRESS: '127.0.0.1:7101',
  TIDEMARK_CONNECTORS: 'file=127.0.0.1:7105, http=127.0.0.1:7106',
  TIDEMARK_MASTER_KEY: key(1),
};

test('reads its settings, with defaults', () => {
  const config = readConfig(good);
  expect(config).toMatchObject({
    listen: '127.0.0.1:0',
    leaseMs: 15_000,
    silenceMs: 300_000,
    bootstrapApiKey: undefined,
    logLevel: 'info',
  });
  expect([...config.connectors]).toEqual([
    ['file', '127.0.0.1:7105'],
    ['http', '127.0.0.1:7106'],
  ]);
  expect(config.masterKey).toEqual(Buffer.alloc(32, 1));
  expect(config.previousMasterKeys).toEqual([]);
});

test('reads previous master keys, at most eight', () => {
  const previous = (count: number): string => Array.from({ length: count }, (_, n) => key(n)).join(', ');
  const env = { ...good, TIDEMARK_PREVIOUS_MASTER_KEYS: previous(8) };
  expect(readConfig(env).previousMasterKeys).toHaveLength(8);
  expect(() => readConfig({ ...env, TIDEMARK_PREVIOUS_MASTER_KEYS: previous(9) })).toThrow(
    /TIDEMARK_PREVIOUS_MASTER_KEYS: must be no more than 8 keys$/,
  );
});

test.each([
  ['TIDEMARK_CONNECTORS', 'file'],
  ['TIDEMARK_CONNECTORS', 'file=127.0.0.1:7105,'],
  ['TIDEMARK_MASTER_KEY', Buffer.alloc(31).toString('base64')],
  ['TIDEMARK_MASTER_KEY', 'not base64!'],
  ['TIDEMARK_PREVIOUS_MASTER_KEYS', 'not base64!'],
  ['TIDEMARK_PREVIOUS_MASTER_KEYS', `${key(2)},`],
  ['TIDEMARK_PREVIOUS_MASTER_KEYS', `${key(2)},${Buffer.alloc(33).toString('base64')}`],
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
    /TIDEMARK_INTERNAL_TOKEN.*TIDEMARK_MASTER_KEY.*TIDEMARK_CONTROL_MONGODB_URI/s,
  );
});
