import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  inDependencyOrder,
  isConnectionId,
  refuseNewPrimaryKeys,
  validateScheduleModels,
} from './connection.js';

test.each([
  ['a', true],
  ['acme-hr-2', true],
  ['a'.repeat(63), true],
  ['a'.repeat(64), false],
  ['', false],
  ['2a', false],
  ['Acme', false],
  ['a_b', false],
  ['a/b', false],
  ['a\n', false],
])('%j is a name: %s', (name, valid) => {
  expect(isConnectionId(name)).toBe(valid);
});

test('models come after those they depend on, all of them once, though they go in circles', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const graph = fc.array(fc.tuple(fc.constantFrom(...names), fc.constantFrom(...names)), { maxLength: 12 });
  fc.assert(
    fc.property(graph, fc.shuffledSubarray(names), (edges, wanted) => {
      const catalogue = names.map((name) => ({
        name,
        dependsOn: edges.filter(([from]) => from === name).map(([, to]) => to),
      }));
      const order = inDependencyOrder(wanted, catalogue);
      expect([...order].sort()).toEqual([...wanted].sort());
      const acyclic = edges.every(([from, to]) => from > to);
      if (!acyclic) return;
      for (const [from, to] of edges) {
        if (wanted.includes(from) && wanted.includes(to))
          expect(order.indexOf(to)).toBeLessThan(order.indexOf(from));
      }
    }),
  );
  const chain = [
    { name: 'a', dependsOn: [] },
    { name: 'b', dependsOn: ['a'] },
    { name: 'c', dependsOn: ['b'] },
  ];
  expect(inDependencyOrder(['c', 'b', 'a'], chain)).toEqual(['a', 'b', 'c']);
});

describe('what an update may not change silently', () => {
  const scope = [{ model: 'employees', fields: ['id'], indexFields: [] }];

  test('a schedule names models in scope only', () => {
    expect(() => validateScheduleModels({ models: { employees: {} } }, scope)).not.toThrow();
    expect(() => validateScheduleModels({ models: { employes: {} } }, scope)).toThrow(
      'spec.schedule.models.employes is no model in scope',
    );
  });

  test('the primary key of a model in scope stays', () => {
    const key = (...primaryKey: string[]) => [{ name: 'employees', primaryKey }];
    expect(() => refuseNewPrimaryKeys(scope, key('id'), key('id'))).not.toThrow();
    expect(() => refuseNewPrimaryKeys(scope, key('id'), [])).not.toThrow();
    expect(() => refuseNewPrimaryKeys([], key('id'), key('name'))).not.toThrow();
    expect(() => refuseNewPrimaryKeys(scope, key('id'), key('id', 'name'))).toThrow(
      'primary key of employees',
    );
  });
});
