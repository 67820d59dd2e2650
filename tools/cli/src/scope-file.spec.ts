import { describe, expect, it } from '@jest/globals';
import { Scope, ScopeReceipt } from '@tidemark/contracts';
import { writeJson } from './json.js';
import { parseScopeFile } from './scope-file.js';
import { scopeStatusJson } from './scope-json.js';
import { receiptText, scopeLines } from './scope-text.js';

const parse = (text: string, env: Record<string, string> = {}) =>
  parseScopeFile(text, 'acme-hr', { path: 'scope.yaml', env });
const model = (name: string, fields: string[], indexFields: string[] = []) => ({
  model: name,
  fields,
  indexFields,
});

describe('a scope file', () => {
  it('lists fields by model, and index fields where it says so', () => {
    expect(parse('employees: [id, name]\njobs: { fields: [id, city], index: [city] }\n')).toEqual({
      models: [model('employees', ['id', 'name']), model('jobs', ['id', 'city'], ['city'])],
      revision: 0n,
    });
  });

  it('may be a connection file, whose secrets are not asked for', () => {
    const text =
      'name: acme-hr\nconnector: http\ncredentials: { token: "${TOKEN}" }\nscope: { jobs: [id] }\n';
    expect(parse(text).models).toEqual([model('jobs', ['id'])]);
    expect(() => parse(text.replace('acme-hr', 'crm'))).toThrow('The file is about crm, not about acme-hr.');
    expect(() => parse('name: acme-hr\nconnector: http\n')).toThrow('has no scope');
  });

  it('may be what scope get printed, then it replaces that revision alone', () => {
    const scope = Scope.create({ models: [model('jobs', ['id', 'city'], ['id'])], revision: 7n });
    const printed = writeJson(
      scopeStatusJson({ scope, purging: true, receipts: [ScopeReceipt.create({ revision: 7n })] }),
    );
    expect(parse(printed)).toEqual(scope);
  });

  it('may have a model named models, or scope', () => {
    expect(parse('models: [id]').models).toEqual([model('models', ['id'])]);
    expect(parse('scope: [id]').models).toEqual([model('scope', ['id'])]);
  });

  it.each([
    ['a text', 'employees', 'the file must be an object with a list of field paths for each model'],
    ['fields that are no list', 'employees: id', 'employees must be a list of field paths, or an object'],
    ['another word', 'jobs: { fields: [id], indexes: [id] }', 'jobs has unknown keys: indexes'],
    ['half a document', 'employees: [id', 'is no YAML or JSON: line'],
    ['a model without a name', 'models: [{ fields: [id] }]', 'models.0.model must be a model'],
  ])('is not %s', (_, text, fault) => {
    expect(() => parse(text)).toThrow(fault);
  });
});

describe('a scope on the terminal', () => {
  it('shows each field, whether it has an index, and what was purged', () => {
    const receipt = ScopeReceipt.create({
      revision: 3n,
      narrowedModels: ['employees'],
      removedModels: ['absences'],
      changedRecords: 1200n,
      removedRecords: 40n,
      purgedVersions: 1n,
      purgedQuarantine: 0n,
      endTime: new Date('2026-01-31T08:00:00Z'),
    });
    const scope = Scope.create({
      models: [model('jobs', ['id', 'office'], ['id', 'office.city'])],
      revision: 3n,
    });
    const lines = scopeLines({ scope, purging: false, receipts: [receipt] });
    expect(lines.slice(0, 6)).toEqual([
      'MODEL  FIELD        INDEX',
      'jobs   id           yes',
      'jobs   office',
      'jobs   office.city  yes',
      '',
      'Revision 3. Nothing that it does not allow is stored.',
    ]);
    expect(lines.at(-1)).toContain('2026-01-31T08:00:00.000Z');
    expect(receiptText(receipt)).toBe(
      'Purged: fields of 1,200 records of employees; 40 records of absences, which left the scope; 1 older version and 0 quarantined records.',
    );
  });
});
