import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  compareScopes,
  defaultScope,
  isScopeChanged,
  validateScope,
  type CatalogueModel,
  type ModelScopeSpec,
} from './connection-scope.js';
import { compileScope, scopeContains } from './scope.js';

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
  indexFields: ['id', 'office.city', 'ssn'],
  dependsOn: [],
};
const scope = (...fields: string[]) => indexed(fields, []);
const indexed = (fields: string[], indexFields: string[], model = 'employees') => [
  { model, fields, indexFields },
];
const fieldsOf = (models: readonly ModelScopeSpec[]) => models.map(({ fields }) => fields).flat();

describe('the default scope', () => {
  test('has every field that is not marked sensitive, nested ones by their members', () => {
    expect(fieldsOf(defaultScope([employees]))).toEqual([
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
    ]);
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
    expect(fieldsOf(validateScope(scope('name'), [employees]))).toEqual(['id', 'name']);
    expect(fieldsOf(validateScope(scope('name', 'id'), [employees]))).toEqual(['id', 'name']);
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
    expect(() => validateScope(indexed([], [], 'cars'), [employees])).toThrow(refused);
    expect(() => validateScope([...scope('name'), ...scope('id')], [employees])).toThrow(refused);
    expect(() => validateScope([], [employees])).toThrow(refused);
  });

  test('keeps what is stored already though the source no longer shows it', () => {
    const before = [...scope('id', 'gone'), ...indexed(['id', 'plate'], [], 'cars')];
    expect(validateScope(before, [employees], before)).toEqual(before);
    expect(() =>
      validateScope([...scope('id', 'gone'), ...indexed(['owner'], [], 'cars')], [employees], before),
    ).toThrow();
  });
});

describe('index fields', () => {
  const of = (asked: ModelScopeSpec[], before?: ModelScopeSpec[]) =>
    validateScope(asked, [employees], before)[0]?.indexFields;

  test('are by default those of the catalogue that lie in the scope', () => {
    expect(defaultScope([employees])[0]?.indexFields).toEqual(['id', 'office.city']);
    expect(of(scope('name'))).toEqual(['id']);
    expect(of(scope('office'))).toEqual(['id', 'office.city']);
  });

  test('are those asked for, each once', () => {
    expect(of(indexed(['name', 'skills'], ['name', 'skills', 'name']))).toEqual(['name', 'skills']);
  });

  test('stay as they are where none are named, less those that leave the scope', () => {
    const before = indexed(['id', 'name', 'office.city'], ['name', 'office.city']);
    expect(of(scope('id', 'name'), before)).toEqual(['name']);
    expect(of(scope('id', 'name'), scope('id', 'name'))).toEqual([]);
  });

  test('lie in the scope', () => {
    expect(() => of(indexed(['name'], ['office.city']))).toThrow(
      expect.objectContaining({
        reason: 'REQUEST_INVALID',
        violations: [
          {
            field: 'spec.scope.models.employees.office.city',
            description: 'is an index field but not in the scope',
          },
        ],
      }),
    );
  });

  test('are fields of the model', () => {
    expect(() => of(indexed(['office'], ['office.town']))).toThrow(
      expect.objectContaining({ reason: 'FIELD_UNKNOWN' }),
    );
  });

  test('are 16 at most', () => {
    const paths = Array.from({ length: 17 }, (_, i) => `extra.f${i}`);
    expect(of(indexed(['extra'], paths.slice(1)))).toHaveLength(16);
    expect(() => of(indexed(['extra'], paths))).toThrow('more than 16 index fields');
  });
});

describe('a change of scope', () => {
  const none = { widened: [], narrowed: [], removed: [], indexChanged: [] };

  test.each<[string, ModelScopeSpec[], ModelScopeSpec[], object]>([
    ['nothing, in another order', scope('id', 'name'), scope('name', 'id'), {}],
    ['nothing, said twice', scope('id', 'office'), scope('id', 'office', 'office.city'), {}],
    ['a field more', scope('id'), scope('id', 'name'), { widened: ['employees'] }],
    ['more of a field', scope('office.city'), scope('office'), { widened: ['employees'] }],
    ['a new model', scope('id'), [...scope('id'), ...indexed(['id'], ['id'], 'cars')], { widened: ['cars'] }],
    ['a field less', scope('id', 'name'), scope('id'), { narrowed: ['employees'] }],
    ['less of a field', scope('office'), scope('office.city'), { narrowed: ['employees'] }],
    ['a model less', [...scope('id'), ...indexed(['id'], [], 'cars')], scope('id'), { removed: ['cars'] }],
    [
      'one field for another',
      scope('id', 'name'),
      scope('id', 'skills'),
      { widened: ['employees'], narrowed: ['employees'] },
    ],
    ['an index more', scope('id'), indexed(['id'], ['id']), { indexChanged: ['employees'] }],
    ['another order of them', indexed(['id', 'a'], ['id', 'a']), indexed(['id', 'a'], ['a', 'id']), {}],
  ])('of %s is told as that', (_what, before, after, difference) => {
    expect(compareScopes(before, after)).toEqual({ ...none, ...difference });
    expect(isScopeChanged(compareScopes(before, after))).toBe(Object.keys(difference).length > 0);
  });

  test('back again takes away what it gave, and gives what it took away', () => {
    const paths = fc.uniqueArray(fc.constantFrom('id', 'a', 'a.b', 'a.b.c', 'd'), { minLength: 1 });
    const models = fc.uniqueArray(
      fc.record({ model: fc.constantFrom('x', 'y', 'z'), fields: paths, indexFields: fc.constant([]) }),
      { selector: ({ model }) => model },
    );
    fc.assert(
      fc.property(models, models, (before, after) => {
        const [there, back] = [compareScopes(before, after), compareScopes(after, before)];
        const stays = (names: readonly string[]) =>
          names.filter((name) => [before, after].every((each) => each.some(({ model }) => model === name)));
        expect([...stays(there.widened)].sort()).toEqual([...back.narrowed].sort());
        expect([...stays(back.widened)].sort()).toEqual([...there.narrowed].sort());
        expect(there.widened.filter((name) => !stays(there.widened).includes(name)).sort()).toEqual(
          [...back.removed].sort(),
        );
        for (const { model, fields } of after) {
          const old = before.find((each) => each.model === model);
          if (old === undefined) continue;
          const holds = scopeContains(compileScope(old.fields), compileScope(fields));
          expect(there.widened.includes(model)).toBe(!holds);
        }
      }),
    );
  });
});
