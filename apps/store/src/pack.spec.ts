import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import { encodePack, MAX_PACK_BYTES, MAX_PACK_ENTRIES, Pack, packEnds } from './pack.js';

describe('a pack', () => {
  it('gives back every payload under the sequence of its change', () => {
    const entries = fc.uniqueArray(
      fc.record({ back: fc.nat({ max: 2_000 }), payload: fc.uint8Array({ maxLength: 5_000 }) }),
      { selector: ({ back }) => back, maxLength: 40 },
    );
    fc.assert(
      fc.property(entries, (packed) => {
        const pack = new Pack(encodePack(packed), 5_000);
        expect(pack.sequences).toEqual(packed.map(({ back }) => 5_000 - back));
        for (const { back, payload } of packed)
          expect(Buffer.compare(pack.get(5_000 - back) ?? Buffer.of(1), payload)).toBe(0);
        expect(pack.get(6_000)).toBeUndefined();
      }),
    );
  });

  it('is compressed where that saves something', () => {
    const payload = Buffer.from(JSON.stringify({ name: 'x'.repeat(500) }));
    const pack = encodePack(Array.from({ length: 100 }, (_, back) => ({ back, payload })));
    expect(pack.byteLength).toBeLessThan(5_000);
  });

  it('of an unknown form is refused', () => {
    expect(() => new Pack(Buffer.of(9, 0, 0, 0, 0), 1)).toThrow(
      expect.objectContaining({ reason: 'INTERNAL' }),
    );
  });
});

test('payloads are cut into packs in order, none beyond its bounds but a single one', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: MAX_PACK_BYTES * 2 }), { maxLength: 900 }), (sizes) => {
      const ends = packEnds(sizes);
      expect(ends.at(-1) ?? 0).toBe(sizes.length);
      let start = 0;
      for (const end of ends) {
        const pack = sizes.slice(start, end);
        expect(pack.length).toBeGreaterThan(0);
        expect(pack.length).toBeLessThanOrEqual(MAX_PACK_ENTRIES);
        if (pack.length > 1) expect(pack.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(MAX_PACK_BYTES);
        start = end;
      }
    }),
  );
});
