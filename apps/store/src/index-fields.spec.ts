import { describe, expect, it, test } from '@jest/globals';
import { parseJson } from '@tidemark/model';
import { filterTerms, indexValues, matchesFilter } from './index-fields.js';

const value = parseJson(
  '{"a":"x","b":{"c":[1,1.0,{"d":true}],"d":null},"n":1e2,"list":[{"t":"u"},{"t":"v"}]}',
);

describe('values of an index field', () => {
  it.each([
    ['a', ['"x"']],
    ['b.c', ['1']],
    ['b.c.d', ['true']],
    ['b.d', ['null']],
    ['n', ['100']],
    ['list.t', ['"u"', '"v"']],
    ['list', []],
    ['b', []],
    ['a.b', []],
    ['none', []],
    ['__proto__', []],
    ['constructor', []],
  ])('%s', (path, found) => {
    expect(indexValues(value, path)).toEqual(found);
  });

  it('are bounded in number', () => {
    expect(
      indexValues(parseJson(`{"a":[${Array.from({ length: 100 }, (_, i) => i).join()}]}`), 'a'),
    ).toHaveLength(32);
  });
});

test('a filter wants every value, however a number is spelt', () => {
  expect(matchesFilter(value, filterTerms(new Map(Object.entries({ n: '100.0', a: '"x"' }))))).toBe(true);
  expect(matchesFilter(value, filterTerms(new Map(Object.entries({ n: '100', a: '"y"' }))))).toBe(false);
  expect(matchesFilter(value, filterTerms(new Map(Object.entries({ 'list.t': '"v"' }))))).toBe(true);
});

test.each(['', 'x', '{}', '[]', '{"a":1}', '"x'])('%j is no value to filter by', (text) => {
  expect(() => filterTerms(new Map(Object.entries({ a: text })))).toThrow(
    expect.objectContaining({ reason: 'REQUEST_INVALID' }),
  );
});
