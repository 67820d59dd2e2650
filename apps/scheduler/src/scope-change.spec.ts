import { describe, expect, test } from '@jest/globals';
import type { ModelScopeSpec } from '@tidemark/model';
import { changeScope, effectOnRun } from './scope-change.js';
import { aConnection, aModel } from './testing/a-connection.js';

const NOW = new Date('2026-02-01T00:00:00Z');
const BEFORE = new Date('2026-01-31T00:00:00Z');
const scopeOf = (models: Record<string, string[]>): ModelScopeSpec[] =>
  Object.entries(models).map(([model, fields]) => ({ model, fields, indexFields: [] }));
const jobs = aModel('jobs', { jsonSchema: Buffer.from('{"type":"object","properties":{"id":{},"pay":{}}}') });
const connection = aConnection({
  scope: { revision: 3, models: scopeOf({ employees: ['id', 'name'], jobs: ['id'] }) },
  catalogue: [aModel('employees'), jobs],
});
const change = (models: Record<string, string[]>, before = connection) =>
  changeScope(before, scopeOf(models), before.catalogue, NOW);

describe('a new scope', () => {
  test('counts up, and asks for a purge and for backfills of what it adds', () => {
    expect(change({ employees: ['id'], jobs: ['id', 'pay'] })).toMatchObject({
      scope: { revision: 4 },
      setup: { backfill: ['jobs'], changed: ['employees', 'jobs'], since: NOW },
      purge: { revision: 4, since: NOW },
    });
  });

  test('counts up for index fields alone, and backfills nothing', () => {
    const models = scopeOf({ employees: ['id', 'name'], jobs: ['id'] }).map((each) => ({
      ...each,
      indexFields: ['id'],
    }));
    expect(changeScope(connection, models, connection.catalogue, NOW)).toMatchObject({
      scope: { revision: 4 },
      setup: { backfill: [], changed: [] },
      purge: { revision: 4 },
    });
  });

  test('that says nothing new changes nothing', () => {
    const same = change({ jobs: ['id'], employees: ['name', 'id'] });
    expect(same.scope).toBe(connection.scope);
    expect(same).not.toHaveProperty('purge');
    expect(changeScope(connection, undefined, connection.catalogue, NOW).scope).toBe(connection.scope);
  });

  test('keeps what changes before it left to do, less what it takes out of the scope', () => {
    const unfinished = {
      ...connection,
      setup: { backfill: ['employees', 'jobs'], changed: ['jobs'], since: BEFORE },
      purge: { revision: 3, since: BEFORE },
    };
    expect(change({ employees: ['id', 'name'] }, unfinished)).toMatchObject({
      setup: { backfill: ['employees'], changed: [] },
      purge: { revision: 4 },
    });
    const same = change({ jobs: ['id'], employees: ['name', 'id'] }, unfinished);
    expect(same).toMatchObject({ setup: { backfill: ['employees', 'jobs'] }, purge: unfinished.purge });
  });

  test('may come with a new key of a model that it removes, not of one that stays', () => {
    const rekeyed = [aModel('employees'), { ...jobs, primaryKey: ['pay'] }];
    expect(() => changeScope(connection, scopeOf({ employees: ['id'] }), rekeyed, NOW)).not.toThrow();
    expect(() => changeScope(connection, scopeOf({ jobs: ['id'] }), rekeyed, NOW)).toThrow(
      'primary key of jobs',
    );
  });
});

test.each([
  ['goes on where its model stays as it is', { employees: ['id', 'name'] }, 'NONE'],
  ['goes on where its model gains fields: a backfill follows', { employees: ['id', 'name', 'city'] }, 'NONE'],
  ['is begun anew where its model loses fields', { employees: ['id'] }, 'NARROWED'],
  ['is begun anew where it gets one field for another', { employees: ['id', 'city'] }, 'NARROWED'],
  ['ends where its model is gone', { jobs: ['id'] }, 'REMOVED'],
] as [string, Record<string, string[]>, string][])('a run %s', (_what, now, effect) => {
  expect(effectOnRun('employees', connection.scope.models, scopeOf(now))).toBe(effect);
});
