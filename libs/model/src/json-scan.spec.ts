import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson } from './canonical.js';
import { changedFields, changedPayloadFields } from './changed-fields.js';
import { MAX_JSON_DEPTH, parseJson } from './json.js';
import { memberSpans, provesWithinScope } from './json-scan.js';
import { ALL_FIELDS, compileScope, scopeViolation } from './scope.js';

const path = fc
  .array(fc.constantFrom('a', 'b', 'é', ''), { minLength: 1, maxLength: 3 })
  .map((names) => names.join('.'));
const scopes = fc.array(path, { maxLength: 4 }).map(compileScope);
const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(fc.constantFrom(null, true, false, 0, -1.5, 1e21), fc.string({ unit: 'binary', maxLength: 6 })),
    fc.array(tie('json'), { maxLength: 3 }),
    fc.dictionary(
      fc.oneof(fc.constantFrom('a', 'b', 'é', '', 'x"', '\n'), fc.string({ maxLength: 3 })),
      tie('json'),
      {
        maxKeys: 4,
      },
    ),
  ),
}));
const text = (value: unknown): Buffer => Buffer.from(canonicalJson(parseJson(JSON.stringify(value))).text);

describe('what is proven', () => {
  it('is canonical JSON within the scope', () => {
    fc.assert(
      fc.property(json, scopes, (value, scope) => {
        const payload = text(value);
        if (provesWithinScope(payload, scope))
          expect(scopeViolation(parseJson(payload.toString()), scope)).toBeUndefined();
        else if (!payload.includes('\\'))
          expect(scopeViolation(parseJson(payload.toString()), scope)).toBeDefined();
      }),
      { numRuns: 2_000 },
    );
  });

  it('is canonical JSON, whatever became of its bytes', () => {
    const damage = fc.array(fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) }), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(json, damage, (value, changes) => {
        const payload = text(value);
        for (const { at, byte } of changes) payload[at % payload.length] = byte;
        if (!provesWithinScope(payload, ALL_FIELDS)) return;
        expect(Buffer.from(canonicalJson(parseJson(payload.toString())).text)).toEqual(payload);
      }),
      { numRuns: 5_000 },
    );
  });

  it('has each key once and in order', () => {
    const key = fc.string({
      unit: fc.constantFrom('a', 'b', '', 'é', '\uffff', '\u{1f600}', '"'),
      maxLength: 3,
    });
    const keys = fc.array(key, { maxLength: 4 });
    fc.assert(
      fc.property(keys, fc.boolean(), (given, isNested) => {
        const object = `{${given.map((name) => `${JSON.stringify(name)}:1`).join(',')}}`;
        const payload = isNested ? `{"x":[${object}]}` : object;
        const isCanonical = canonicalJson(parseJson(payload)).text === payload;
        const isProven = provesWithinScope(Buffer.from(payload), ALL_FIELDS);
        if (isProven) expect(isCanonical).toBe(true);
        else if (isCanonical) expect(payload).toMatch(/\\|[\u{10000}-\u{10ffff}]/u);
      }),
      { numRuns: 5_000 },
    );
  });

  it.each([
    '',
    ' 1',
    '1 ',
    '01',
    '1.',
    '.5',
    '-',
    '1e',
    '+1',
    'tru',
    'nul',
    'NaN',
    '"',
    '"\\x"',
    '"\\u12g4"',
    '"\u0001"',
    '[1,]',
    '[,]',
    '{}x',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{a:1}',
    '[1 2]',
    '{"a":1 ,"b":2}',
    '\ufeff1',
    '{"b":1,"a":2}',
    '{"a":1,"a":2}',
    '{"a":{"b":1,"b":2}}',
    '{"aa":1,"a":2}',
    '{"\uffff":1,"\u{1f600}":2}',
    '{"a":1,"\\u0062":2}',
    '"\\u0061"',
    '"\\/"',
  ])('is not %j', (bad) => {
    expect(provesWithinScope(Buffer.from(bad), ALL_FIELDS)).toBe(false);
  });

  it.each([
    '0',
    '-0',
    '1.10',
    '1e400',
    '12345678901234567890',
    '"\\"\\\\\\n"',
    '[]',
    '{}',
    'true',
    '{"":{"":[]}}',
    '{"":1,"$":2,"10":3,"9":4,"a":5,"aa":6,"b":7,"é":8,"\uffff":9}',
  ])('is %j', (good) => {
    expect(provesWithinScope(Buffer.from(good), ALL_FIELDS)).toBe(true);
  });

  it('is not nested too deep', () => {
    const deep = (levels: number) => Buffer.from('['.repeat(levels) + ']'.repeat(levels));
    expect(provesWithinScope(deep(MAX_JSON_DEPTH), ALL_FIELDS)).toBe(true);
    expect(provesWithinScope(deep(MAX_JSON_DEPTH + 1), ALL_FIELDS)).toBe(false);
    expect(provesWithinScope(deep(100_000), ALL_FIELDS)).toBe(false);
    const abyss = parseJson(`{"a":${deep(10_000).toString()}}`);
    expect(() => scopeViolation(abyss, compileScope(['a.b']))).toThrow('nested deeper than 64 levels');
  });
});

test('members lie where they are', () => {
  const payload = Buffer.from('{"a":1,"b\\n":{"c":[2]},"é":"x"}');
  const members = [...(memberSpans(payload) ?? [])].map(([key, { start, end }]) => [
    key,
    payload.toString('utf8', start, end),
  ]);
  expect(members).toEqual([
    ['a', '1'],
    ['b\n', '{"c":[2]}'],
    ['é', '"x"'],
  ]);
  for (const bad of ['1', '[]', '{"a":1}x', '{"a":1', ''])
    expect(memberSpans(Buffer.from(bad))).toBeUndefined();
});

test('payloads differ in the same fields as their content', () => {
  fc.assert(
    fc.property(json, json, (a, b) => {
      for (const [x, y] of [
        [a, b],
        [
          { k: a, l: b },
          { k: b, l: b },
        ],
      ] as const) {
        const [before, after] = [text(x), text(y)];
        expect(changedPayloadFields(before, after)).toEqual(
          changedFields(parseJson(before.toString()), parseJson(after.toString())),
        );
      }
    }),
    { numRuns: 1_000 },
  );
});
