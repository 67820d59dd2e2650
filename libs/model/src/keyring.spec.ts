import { describe, expect, test } from '@jest/globals';
import { Keyring } from './keyring.js';
import { deriveKey, Sealer } from './seal.js';

const A = Buffer.alloc(32, 1);
const B = Buffer.alloc(32, 2);
const C = Buffer.alloc(32, 3);
const OWNER = 'acme/hr';
const PURPOSE = 'credentials';
const secret = Buffer.from('{"password":"hunter2"}');
const reason = (name: string): unknown => expect.objectContaining({ reason: name });

const sealedBy = {
  keyring: (key: Buffer): Uint8Array => new Keyring(key).seal(secret, PURPOSE, OWNER),
  'a sealer, without the id of its key': (key: Buffer): Uint8Array =>
    new Sealer(deriveKey(key, PURPOSE)).seal(secret, OWNER),
};
const sealers = Object.entries(sealedBy).map(([name, seal]) => ({ name, seal }));

describe.each(sealers)('sealed by $name', ({ seal }) => {
  test.each([
    { title: 'under the only key', sealedUnder: A, ring: new Keyring(A) },
    { title: 'under the current key', sealedUnder: A, ring: new Keyring(A, [B, C]) },
    { title: 'under a previous key', sealedUnder: A, ring: new Keyring(B, [A]) },
    { title: 'under the oldest key', sealedUnder: A, ring: new Keyring(B, [C, A]) },
    { title: 'though the current key is listed twice', sealedUnder: A, ring: new Keyring(A, [A]) },
  ])('opens $title', ({ sealedUnder, ring }) => {
    expect(Buffer.from(ring.open(seal(sealedUnder), PURPOSE, OWNER))).toEqual(secret);
  });

  test('says that its key is missing, and what to do', () => {
    const open = (): Uint8Array => new Keyring(B, [C]).open(seal(A), PURPOSE, OWNER);
    expect(open).toThrow(reason('KEY_UNAVAILABLE'));
    expect(open).toThrow(/TIDEMARK_PREVIOUS_MASTER_KEYS/);
  });

  test('does not show what it holds', () => {
    expect(Buffer.from(seal(A)).toString('latin1')).not.toContain('hunter2');
  });

  test('no byte of it can be changed or cut off', () => {
    const sealed = Buffer.from(seal(A));
    const ring = new Keyring(A, [B]);
    for (let index = 0; index < sealed.length; index++) {
      const forged = Buffer.from(sealed);
      forged[index] = (forged[index] ?? 0) ^ 1;
      for (const bytes of [forged, sealed.subarray(0, index)])
        expect(() => ring.open(bytes, PURPOSE, OWNER)).toThrow(
          expect.objectContaining({ reason: expect.stringMatching(/^(INTERNAL|KEY_UNAVAILABLE)$/) }),
        );
    }
  });
});

describe('what a keyring sealed', () => {
  const ring = new Keyring(B, [A]);
  const sealed = Buffer.from(new Keyring(A).seal(secret, PURPOSE, OWNER));

  test.each([
    { title: 'another owner', purpose: PURPOSE, owner: 'other/hr' },
    { title: 'another purpose', purpose: 'api-keys', owner: OWNER },
    { title: 'no owner', purpose: PURPOSE, owner: '' },
  ])('opens not for $title', ({ purpose, owner }) => {
    expect(() => ring.open(sealed, purpose, owner)).toThrow(reason('INTERNAL'));
  });

  test('tells a changed byte from a missing key', () => {
    for (let index = 9; index < sealed.length; index++) {
      const forged = Buffer.from(sealed);
      forged[index] = (forged[index] ?? 0) ^ 0x80;
      expect(() => ring.open(forged, PURPOSE, OWNER)).toThrow(reason('INTERNAL'));
    }
  });

  test('opens not under another key whose id was put into it', () => {
    const other = Buffer.from(ring.seal(secret, PURPOSE, OWNER));
    const forged = Buffer.concat([other.subarray(0, 9), sealed.subarray(9)]);
    expect(() => ring.open(forged, PURPOSE, OWNER)).toThrow(reason('INTERNAL'));
  });

  test('looks different each time, but for format and id', () => {
    const again = Buffer.from(new Keyring(A).seal(secret, PURPOSE, OWNER));
    expect(again.subarray(0, 9)).toEqual(sealed.subarray(0, 9));
    expect(again.subarray(9)).not.toEqual(sealed.subarray(9));
  });

  test('does not show its key', () => {
    expect(sealed.includes(A.subarray(0, 8))).toBe(false);
  });
});

test.each([
  { title: 'the current key', sealed: sealedBy.keyring(A), current: true },
  { title: 'a previous key', sealed: sealedBy.keyring(B), current: false },
  { title: 'an unknown key', sealed: sealedBy.keyring(C), current: false },
  { title: 'no named key', sealed: new Sealer(deriveKey(A, PURPOSE)).seal(secret, OWNER), current: false },
  { title: 'nothing', sealed: new Uint8Array(0), current: false },
])('what is sealed under $title is current: $current', ({ sealed, current }) => {
  expect(new Keyring(A, [B]).isCurrent(sealed)).toBe(current);
});

test('sealing anew moves to the current key', () => {
  const both = new Keyring(B, [A]);
  const resealed = both.seal(both.open(sealedBy.keyring(A), PURPOSE, OWNER), PURPOSE, OWNER);
  expect(both.isCurrent(resealed)).toBe(true);
  expect(Buffer.from(new Keyring(B).open(resealed, PURPOSE, OWNER))).toEqual(secret);
  expect(() => new Keyring(A).open(resealed, PURPOSE, OWNER)).toThrow(reason('KEY_UNAVAILABLE'));
});

test.each([0, 16, 31, 33])('refuses a master key of %d bytes', (length) => {
  expect(() => new Keyring(Buffer.alloc(length))).toThrow(reason('CONFIG_INVALID'));
  expect(() => new Keyring(A, [Buffer.alloc(length)])).toThrow(reason('CONFIG_INVALID'));
});
