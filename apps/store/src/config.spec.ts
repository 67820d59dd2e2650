import { expect, test } from '@jest/globals';
import { readConfig } from './config.js';

const key = (byte: number): string => Buffer.alloc(32, byte).toString('base64');
const DAY_MS = 86_400_000;
const good = {
  TIDEMARK_INTERNAL_TOKEN: 'x'.repeat(32),
  TIDEMARK_STORE_MONGODB_URI: 'mongodb://127.0.0.1:27017/tidemark_store',
  TIDEMARK_MASTER_KEY: key(1),
};

test('reads its settings, with defaults', () => {
  expect(readConfig(good)).toMatchObject({
    listen: '127.0.0.1:0',
    logLevel: 'info',
    mongodbUri: good.TIDEMARK_STORE_MONGODB_URI,
    masterKey: Buffer.alloc(32, 1),
    previousMasterKeys: [],
    retention: { historyMs: 30 * DAY_MS, tombstoneMs: 90 * DAY_MS },
  });
});

test('reads previous master keys', () => {
  const config = readConfig({ ...good, TIDEMARK_PREVIOUS_MASTER_KEYS: `${key(2)}, ${key(3)}` });
  expect(config.previousMasterKeys).toEqual([Buffer.alloc(32, 2), Buffer.alloc(32, 3)]);
});

test('keeps tombstones at least as long as history', () => {
  const retained = { ...good, TIDEMARK_HISTORY_DAYS: '7', TIDEMARK_TOMBSTONE_DAYS: '7' };
  expect(readConfig(retained).retention).toEqual({ historyMs: 7 * DAY_MS, tombstoneMs: 7 * DAY_MS });
  expect(() => readConfig({ ...retained, TIDEMARK_HISTORY_DAYS: '8' })).toThrow(
    /TIDEMARK_TOMBSTONE_DAYS: must be no less than TIDEMARK_HISTORY_DAYS$/,
  );
});

test.each([
  ['TIDEMARK_MASTER_KEY', Buffer.alloc(31).toString('base64')],
  ['TIDEMARK_PREVIOUS_MASTER_KEYS', `${key(2)},bm8=`],
  ['TIDEMARK_STORE_MONGODB_URI', 'postgres://x'],
  ['TIDEMARK_HISTORY_DAYS', 'forever'],
  ['TIDEMARK_TOMBSTONE_DAYS', '90.5'],
])('refuses %s=%s and does not quote it', (name, value) => {
  const read = (): unknown => readConfig({ ...good, [name]: value });
  expect(read).toThrow(
    expect.objectContaining({
      reason: 'CONFIG_INVALID',
      violations: [expect.objectContaining({ field: name })],
    }),
  );
  expect(read).not.toThrow(value);
});

test('lists all faults at once', () => {
  expect(() => readConfig({})).toThrow(
    /TIDEMARK_INTERNAL_TOKEN.*TIDEMARK_MASTER_KEY.*TIDEMARK_STORE_MONGODB_URI/s,
  );
});
