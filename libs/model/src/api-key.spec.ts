import { createSecretKey } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { hashApiKey, parseApiKey, verifyApiKey, type StoredApiKey } from './api-key.js';

const KEY = createSecretKey(Buffer.alloc(32, 1));
const NOW = new Date('2026-01-01T00:00:00Z');
const presented = parseApiKey('tm_ops-1_s3cret_with_underscores');
const stored: StoredApiKey = {
  id: 'ops-1',
  tenantId: 'acme',
  roles: ['READ'],
  hash: hashApiKey(presented, KEY),
};
const invalid = expect.objectContaining({ reason: 'CREDENTIAL_INVALID' });

test('a key has an id and a secret', () => {
  expect(presented).toEqual({ id: 'ops-1', secret: 's3cret_with_underscores' });
});

test.each([
  '',
  'tm_',
  'tm_id',
  'tm__secret',
  'tm_id_',
  'xx_id_secret',
  'tm_id_sec ret',
  ' tm_id_secret',
  `tm_${'i'.repeat(65)}_s`,
  `tm_i_${'s'.repeat(257)}`,
])('%j is no key', (text) => {
  expect(() => parseApiKey(text)).toThrow(invalid);
});

test('the right key is accepted, until it expires', () => {
  expect(verifyApiKey(presented, stored, KEY, NOW)).toBe(stored);
  const expiring = { ...stored, expireTime: new Date(NOW.getTime() + 1) };
  expect(verifyApiKey(presented, expiring, KEY, NOW)).toBe(expiring);
});

test.each<[string, StoredApiKey | undefined]>([
  ['unknown', undefined],
  ['of another secret', { ...stored, hash: hashApiKey({ id: 'ops-1', secret: 'other' }, KEY) }],
  ['of another id', { ...stored, hash: hashApiKey({ id: 'ops-2', secret: presented.secret }, KEY) }],
  [
    'hashed under another master key',
    { ...stored, hash: hashApiKey(presented, createSecretKey(Buffer.alloc(32, 2))) },
  ],
  ['cut short', { ...stored, hash: stored.hash.subarray(1) }],
  ['revoked', { ...stored, revokeTime: NOW }],
  ['expired', { ...stored, expireTime: NOW }],
])('a key that is %s is refused, and none is told from the others', (_name, each) => {
  expect(() => verifyApiKey(presented, each, KEY, NOW)).toThrow(
    expect.objectContaining({
      reason: 'CREDENTIAL_INVALID',
      message: 'the API key is malformed, unknown, revoked or expired',
    }),
  );
});

test('a hash does not hold the secret', () => {
  expect(Buffer.from(stored.hash).toString('latin1')).not.toContain(presented.secret);
  expect(stored.hash).toHaveLength(32);
});
