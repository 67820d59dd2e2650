import { expect, test } from '@jest/globals';
import { compareScopes, mergeChanges, needsPurge, type ScopeSpec } from './scope-change.js';

const scope = (models: Record<string, string[]>, index: Record<string, string[]> = {}): ScopeSpec => ({
  revision: 1,
  models: Object.entries(models).map(([model, fields]) => ({ model, fields, index: index[model] ?? [] })),
});
const nothing = { narrowed: [], removed: [], indexed: [] };

test.each([
  ['the same', scope({ a: ['x', 'y'] }), scope({ a: ['y', 'x'] }), nothing],
  ['wider', scope({ a: ['x.z'] }), scope({ a: ['x'], b: ['id'] }), nothing],
  [
    'narrower',
    scope({ a: ['x', 'y'], b: ['id'] }),
    scope({ a: ['x'], b: ['id'] }),
    { ...nothing, narrowed: ['a'] },
  ],
  ['narrower below', scope({ a: ['x'] }), scope({ a: ['x.z', 'y'] }), { ...nothing, narrowed: ['a'] }],
  ['less of models', scope({ a: ['x'], b: ['id'] }), scope({ b: ['id'] }), { ...nothing, removed: ['a'] }],
  ['indexed', scope({ a: ['x'] }), scope({ a: ['x'] }, { a: ['x'] }), { ...nothing, indexed: ['a'] }],
  [
    'indexed in another order',
    scope({ a: ['x', 'y'] }, { a: ['x', 'y'] }),
    scope({ a: ['x', 'y'] }, { a: ['y', 'x'] }),
    nothing,
  ],
])('a scope that is %s', (_, before, after, change) => {
  expect(compareScopes(before, after)).toEqual(change);
  expect(needsPurge(change)).toBe(change !== nothing);
});

test('a change on top of one that is not brought to effect yet has both to do, and what left is to be removed though it came back', () => {
  const before = { narrowed: ['a', 'b'], removed: ['c'], indexed: ['d'] };
  expect(mergeChanges(before, { narrowed: ['c'], removed: ['b'], indexed: ['b', 'e'] })).toEqual({
    narrowed: ['a'],
    removed: ['c', 'b'],
    indexed: ['d', 'e'],
  });
});
