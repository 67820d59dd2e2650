import { expect, test } from '@jest/globals';
import { deriveKey, Sealer } from './seal.js';

const master = Buffer.alloc(32, 1);
const sealer = new Sealer(deriveKey(master, 'credentials'));
const secret = Buffer.from('{"password":"hunter2"}');
const internal = expect.objectContaining({ reason: 'INTERNAL' });

test('what is sealed opens again, and does not show', () => {
  const sealed = sealer.seal(secret, 'acme/hr');
  expect(Buffer.from(sealed).toString('latin1')).not.toContain('hunter2');
  expect(Buffer.from(sealer.open(sealed, 'acme/hr'))).toEqual(secret);
});

test('the same secret looks different each time', () => {
  expect(sealer.seal(secret, 'acme/hr')).not.toEqual(sealer.seal(secret, 'acme/hr'));
});

test('it opens for its owner and under its key alone', () => {
  const sealed = sealer.seal(secret, 'acme/hr');
  expect(() => sealer.open(sealed, 'other/hr')).toThrow(internal);
  expect(() => new Sealer(deriveKey(master, 'api-keys')).open(sealed, 'acme/hr')).toThrow(internal);
  expect(() => new Sealer(deriveKey(Buffer.alloc(32, 2), 'credentials')).open(sealed, 'acme/hr')).toThrow(
    internal,
  );
});

test('no byte of it can be changed or cut off', () => {
  const sealed = Buffer.from(sealer.seal(secret, 'acme/hr'));
  for (let index = 0; index < sealed.length; index++) {
    const forged = Buffer.from(sealed);
    forged[index] = (forged[index] ?? 0) ^ 1;
    expect(() => sealer.open(forged, 'acme/hr')).toThrow(internal);
    expect(() => sealer.open(sealed.subarray(0, index), 'acme/hr')).toThrow(internal);
  }
});
