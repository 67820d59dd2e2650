import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  canonicalJson,
  changedFields,
  compileScope,
  ExactNumber,
  parseJson,
  prepareRecord,
  fingerprintKey,
  recordId,
  scopeViolation,
  scopeContains,
} from './index.js';

const text = (source: string) => canonicalJson(parseJson(source)).text;
const identity = (source: string) => canonicalJson(parseJson(source)).identity;
const key = fingerprintKey(Buffer.alloc(32, 1));

describe('parseJson and canonicalJson', () => {
  it.each([
    ['{"b":1,"a":2}', '{"a":2,"b":1}'],
    ['{"price":1.10}', '{"price":1.10}'],
    ['{"n":12345678901234567890}', '{"n":12345678901234567890}'],
    ['{"n":1e400,"m":[1.0,-0, 2E+3]}', '{"m":[1.0,-0,2E+3],"n":1e400}'],
    ['{"n":0.0000001}', '{"n":0.0000001}'],
    ['{"s":"\\u0000n1.10","n":1.10}', '{"n":1.10,"s":"\\u0000n1.10"}'],
    ['{"\\u0000k":1.10,"s":"a \\"1.10\\" b"}', '{"\\u0000k":1.10,"s":"a \\"1.10\\" b"}'],
    ['{"10":1,"9":2,"b":3,"":4}', '{"":4,"10":1,"9":2,"b":3}'],
    ['{"__proto__":{"x":1},"$set":{"a.b":2}}', '{"$set":{"a.b":2},"__proto__":{"x":1}}'],
    ['{"s":"\\ud800"}', '{"s":"\\ud800"}'],
    ['{"s":"\\u20ac\\/\\u000f"}', '{"s":"€/\\u000f"}'],
    [
      '{"\\u20ac":1,"\\r":2,"\\ufb33":3,"1":4,"\\ud83d\\ude00":5,"\\u0080":6,"\\u00f6":7}',
      '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\ud83d\ude00":5,"\ufb33":3}',
    ],
  ])('writes %s as %s', (source, expected) => {
    expect(text(source)).toBe(expected);
  });

  it.each([
    ['{"a":1.10}', '{"a":1.1}'],
    ['{"a":1e2}', '{"a":100}'],
    ['{"a":1.0,"b":-0}', '{"b":0,"a":1}'],
    ['{"a":1e400}', '{"a":10e399}'],
    ['{"a":123456789012345678900}', '{"a":1234567890123456789e2}'],
  ])('takes %s and %s for the same content', (a, b) => {
    expect(identity(a)).toBe(identity(b));
  });

  it.each([
    ['{"a":12345678901234567890}', '{"a":12345678901234567891}'],
    ['{"a":1e400}', '{"a":1e401}'],
    ['{"a":1}', '{"a":"1"}'],
    ['{"a":null}', '{}'],
  ])('takes %s and %s for different content', (a, b) => {
    expect(identity(a)).not.toBe(identity(b));
  });

  it.each(['{"a":1', '{"a":01}', '', 'nul', '{"a":1.}', '{"a":+1.10}', '[1.10 2]', '{"a":.50}'])(
    'refuses %s',
    (source) => {
      expect(() => parseJson(source)).toThrow('not well-formed JSON');
    },
  );

  it('never quotes the text it refuses', () => {
    expect(() => parseJson('{"ssn": 123-45-6789}')).toThrow(/^not well-formed JSON$/);
  });

  it('agrees with JSON.parse on every value, keys and strings included', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (source) => {
        expect(JSON.parse(text(source))).toEqual(JSON.parse(source));
        expect(text(text(source))).toBe(text(source));
      }),
    );
  });

  it('keeps the digits of every number and its identity across spellings', () => {
    const number = fc.tuple(
      fc.bigInt(-(10n ** 30n), 10n ** 30n),
      fc.stringMatching(/^\d{0,25}$/),
      fc.integer({ min: -400, max: 400 }),
    );
    fc.assert(
      fc.property(number, ([whole, fraction, exponent]) => {
        const token = `${whole}${fraction ? `.${fraction}` : ''}${exponent ? `e${exponent}` : ''}`;
        const source = `{"n":${token},"s":"${token}"}`;
        const kept = canonicalJson(parseJson(source));
        expect(kept.text.replace('"n":0,', '"n":-0,')).toBe(source.replace('"n":0,', '"n":-0,'));
        const exact = new ExactNumber(token);
        expect(
          new ExactNumber(
            fraction ? `${whole}.${fraction}0e${exponent}` : `${whole}.0e${exponent}`,
          ).normalForm(),
        ).toBe(exact.normalForm());
      }),
    );
  });

  it('refuses what is nested too deeply, at any depth', () => {
    for (const depth of [65, 10_000, 100_000]) {
      const source = `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`;
      expect(() => prepareRecord(parseJson(source), compileScope(['a']), key)).toThrow(
        'nested deeper than 64 levels',
      );
    }
    expect(() => text(`{"a":${'['.repeat(60)}${']'.repeat(60)}}`)).not.toThrow();
  });

  it('handles strings of megabytes beside unusual numbers', () => {
    const long = 'x\\"'.repeat(400_000);
    expect(text(`{"a":1.10,"b":"${long}"}`)).toBe(`{"a":1.10,"b":"${long}"}`);
  });
});

describe('scope', () => {
  const scope = compileScope(['id', 'work.city', 'items.sku', 'a\\.b', '__proto__']);

  it('keeps allowed fields alone, through objects and arrays', () => {
    const source =
      '{"ssn":1,"id":7,"work":{"city":"Bonn","zip":1.10},"items":[{"sku":"x","cost":2},3,{"cost":1}],"a.b":4,"a":{"b":5},"__proto__":6}';
    expect(canonicalJson(parseJson(source), scope).text).toBe(
      '{"__proto__":6,"a.b":4,"id":7,"items":[{"sku":"x"},{}],"work":{"city":"Bonn"}}',
    );
  });

  it('leaves a scalar out where only fields below it are allowed', () => {
    expect(canonicalJson(parseJson('{"work":"secret","items":["secret",1.10]}'), scope).text).toBe(
      '{"items":[]}',
    );
  });

  it('names the first field outside the scope, never its value', () => {
    expect(scopeViolation(parseJson('{"id":1,"work":{"city":"x","zip":"y"}}'), scope)).toBe('work.zip');
    expect(scopeViolation(parseJson('{"id":1,"a.b":2,"items":[{"sku":1}]}'), scope)).toBeUndefined();
    expect(scopeViolation(parseJson('{"work":"secret"}'), scope)).toBe('work');
    expect(scopeViolation(parseJson('{"a.c":1}'), scope)).toBe('a\\.c');
  });

  it('never lets a value outside the scope into the canonical form or the fingerprint', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.array(fc.string({ minLength: 1 })),
        (record, names) => {
          const allowed = compileScope(names.map((name) => name.replace(/[\\.]/g, '\\$&')));
          const source = JSON.stringify(record);
          const prepared = prepareRecord(parseJson(source), allowed, key);
          expect(scopeViolation(parseJson(prepared.payload), allowed)).toBeUndefined();
          const kept = Object.fromEntries(
            Object.entries(JSON.parse(source) as object).filter(([name]) => names.includes(name)),
          );
          expect(JSON.parse(prepared.payload)).toEqual(kept);
          expect(prepareRecord(parseJson(prepared.payload), allowed, key).fingerprint).toEqual(
            prepared.fingerprint,
          );
        },
      ),
    );
  });

  it('tells whether one scope contains another', () => {
    expect(scopeContains(compileScope(['a', 'b.c']), compileScope(['a.x', 'b.c']))).toBe(true);
    expect(scopeContains(compileScope(['a.x']), compileScope(['a']))).toBe(false);
    expect(scopeContains(compileScope(['a']), compileScope(['b']))).toBe(false);
  });
});

describe('changedFields', () => {
  it.each([
    ['{"a":1,"b":{"c":1,"d":2}}', '{"a":1,"b":{"c":2,"d":2}}', ['b.c']],
    ['{"a":[1,2]}', '{"a":[1,3]}', ['a']],
    ['{"a":1.10}', '{"a":1.1}', []],
    ['{"a":1}', '{"b":1}', ['a', 'b']],
    ['{"a.b":1}', '{"a.b":null}', ['a\\.b']],
    ['{"a":{}}', '{"a":null}', ['a']],
  ])('between %s and %s are %j', (a, b, expected) => {
    expect(changedFields(parseJson(a), parseJson(b))).toEqual(expected);
  });
});

describe('changedFields of very many or very long names', () => {
  it('are their top-level names, as many as fit', () => {
    const wide = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`field-${i}`, 1]));
    expect(changedFields({ deep: {}, flat: 1 }, { deep: wide, flat: 2 })).toEqual(['deep', 'flat']);
    expect(changedFields({}, wide).join('').length).toBeLessThanOrEqual(4_096);
    expect(changedFields({ a: 1 }, { a: 1, ['x'.repeat(1_000_000)]: 1 })).toEqual([]);
  });
});

describe('recordId', () => {
  it.each([
    ['{"id":"x"}', ['id'], 'x'],
    ['{"id":12345678901234567890}', ['id'], '12345678901234567890'],
    ['{"id":7.0}', ['id'], '7'],
    ['{"a":"1","b":2}', ['a', 'b'], '["1","2"]'],
  ])('of %s by %j is %s', (source, primaryKey, expected) => {
    expect(recordId(parseJson(source), primaryKey)).toBe(expected);
  });

  it.each([
    ['{"id":null}', 'missing'],
    ['{"id":""}', 'missing'],
    ['{}', 'missing'],
    ['{"id":{}}', 'missing'],
    ['{"id":"\\ud800"}', 'not valid Unicode'],
    [`{"id":"${'é'.repeat(600)}"}`, 'longer than 1024 bytes'],
  ])('refuses %s', (source, message) => {
    expect(() => recordId(parseJson(source), ['id'])).toThrow(message);
  });
});
