import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  defaultScope,
  inDependencyOrder,
  isConnectionId,
  refuseNewPrimaryKeys,
  validateScheduleModels,
  validateScope,
  widenedModels,
  type CatalogueModel,
} from './connection.js';

const text = { type: 'string' };
const employees: CatalogueModel = {
  name: 'employees',
  schema: {
    type: 'object',
    properties: {
      id: text,
      name: text,
      ssn: text,
      home: { type: 'object', properties: { street: text, country: text } },
      office: { type: 'object', properties: { city: text, floor: { type: 'integer' } } },
      manager: { type: ['object', 'null'], properties: { id: text } },
      skills: { type: 'array', items: text },
      jobs: { type: 'array', items: { type: 'object', properties: { title: text, 'a.b': text } } },
      extra: { type: 'object' },
    },
  },
  primaryKey: ['id'],
  sensitiveFields: ['ssn', 'home.street'],
  dependsOn: [],
};
const scope = (...fields: string[]) => [{ model: 'employees', fields }];

describe('the default scope', () => {
  test('has every field that is not marked sensitive, nested ones by their members', () => {
    expect(defaultScope([employees])).toEqual(
      scope(
        'id',
        'name',
        'home.country',
        'office.city',
        'office.floor',
        'manager',
        'skills',
        'jobs.title',
        'jobs.a\\.b',
        'extra',
      ),
    );
  });

  test('has the primary key though it is marked sensitive', () => {
    const model = { ...employees, primaryKey: ['ssn'] };
    expect(defaultScope([model])[0]?.fields[0]).toBe('ssn');
  });

  test('leaves a map out that holds something sensitive somewhere below', () => {
    const model = { ...employees, sensitiveFields: ['extra.secret'] };
    expect(defaultScope([model])[0]?.fields).not.toContain('extra');
  });
});

describe('a given scope', () => {
  test('gets the primary key added, once', () => {
    expect(validateScope(scope('name'), [employees])).toEqual(scope('id', 'name'));
    expect(validateScope(scope('name', 'id'), [employees])).toEqual(scope('id', 'name'));
  });

  test.each(['office', 'office.city', 'jobs.title', 'jobs.a\\.b', 'extra.anything.at.all', 'manager.id'])(
    'may name %s',
    (field) => {
      expect(() => validateScope(scope(field), [employees])).not.toThrow();
    },
  );

  test.each(['nmae', 'office.town', 'name.first', 'jobs.a.b', 'skills.level', 'toString'])(
    'may not name %s',
    (field) => {
      expect(() => validateScope(scope(field), [employees])).toThrow(
        expect.objectContaining({
          reason: 'FIELD_UNKNOWN',
          violations: [expect.objectContaining({ field: `spec.scope.models.employees.${field}` })],
        }),
      );
    },
  );

  test('names models of the source, each once, and at least one', () => {
    const refused = expect.objectContaining({ reason: 'REQUEST_INVALID' });
    expect(() => validateScope([{ model: 'cars', fields: [] }], [employees])).toThrow(refused);
    expect(() => validateScope([...scope('name'), ...scope('id')], [employees])).toThrow(refused);
    expect(() => validateScope([], [employees])).toThrow(refused);
  });

  test('keeps what is stored already though the source no longer shows it', () => {
    const before = [...scope('id', 'gone'), { model: 'cars', fields: ['id', 'plate'] }];
    expect(validateScope(before, [employees], before)).toEqual(before);
    expect(() =>
      validateScope([...scope('id', 'gone'), { model: 'cars', fields: ['owner'] }], [employees], before),
    ).toThrow();
  });
});

describe('a change of scope', () => {
  test('tells which models it widens', () => {
    expect(widenedModels(scope('id', 'office.city'), scope('id', 'office'))).toEqual(['employees']);
    expect(widenedModels(scope('id'), [...scope('id'), { model: 'cars', fields: ['id'] }])).toEqual(['cars']);
    expect(widenedModels(scope('id', 'name'), scope('name', 'id'))).toEqual([]);
  });

  test.each([
    ['a field', scope('id')],
    ['part of a field', scope('id', 'office.city')],
    ['a model', []],
  ])('may not take away %s', (_what, after) => {
    expect(() => widenedModels(scope('id', 'office'), after)).toThrow(
      expect.objectContaining({ reason: 'SCOPE_NARROWING_UNSUPPORTED' }),
    );
  });
});

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
  const scope = [{ model: 'employees', fields: ['id'] }];

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
