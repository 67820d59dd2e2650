import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Model } from '@tidemark/contracts';
import { FileSource } from './testing/file-source.js';

let source: FileSource;
beforeEach(async () => (source = await FileSource.start()));
afterEach(() => source.stop());

const discover = async (config: object = {}): Promise<Model[]> =>
  (await source.handlers.discover({ settings: source.settings(config) }, source.context)).models;
const schemaOf = (model: Model | undefined): unknown =>
  JSON.parse(Buffer.from(model?.jsonSchema ?? '').toString());

describe('discovery', () => {
  it('makes a model of each data file, named after it', async () => {
    await source.write('people.csv', 'id,name\n1,Ada\n');
    await source.write('jobs list.ndjson', '{"id":1}\n');
    await source.write('teams.json', '[{"id":1}]');
    await source.write('README.md', 'x');
    await source.write('.hidden.csv', 'x');
    expect((await discover()).map((model) => model.name)).toEqual(['jobs_list', 'people', 'teams']);
    await source.write('people.jsonl', '');
    await expect(discover()).rejects.toMatchObject({ reason: 'SOURCE_CONFIG_INVALID' });
  });

  it('infers schemas, marks sensitive fields, and minds what the config says of both', async () => {
    await source.write(
      'p.csv',
      'id,hired,hours,ssn,badge_code,token\n1,2026-01-31,38.50,,7,a\n2,2025-12-01,40,,8,b\n',
    );
    const people = {
      file: 'p.csv',
      columns: { hours: 'number' },
      sensitive: ['badge_code'],
      notSensitive: ['token'],
      indexFields: ['hired', 'id'],
      dependsOn: ['jobs'],
    };
    const [model] = await discover({ models: { people } });
    expect(model).toMatchObject({
      name: 'people',
      primaryKey: ['id'],
      capabilities: { full: true, delta: false, webhook: false },
      sensitiveFields: ['badge_code', 'ssn'],
      indexFields: ['hired', 'id'],
      dependsOn: ['jobs'],
      warnings: [],
    });
    expect(schemaOf(model)).toMatchObject({
      title: 'people',
      required: ['id'],
      properties: {
        hired: { type: 'string', format: 'date' },
        hours: { type: 'number' },
        ssn: { type: 'string' },
      },
    });
  });

  it('warns of what a sync would meet', async () => {
    await source.write('a.csv', 'id,name\n1,Ada\n2\n,x\n3,C');
    await source.write('b.jsonl', `${'{"id":1}\n'.repeat(1500)}{"id":2}`);
    await source.write('c.csv', 'id,name\n');
    await source.write('d.csv', 'name\nx\n');
    const [a, b, c, d] = await discover();
    expect(a?.warnings).toEqual([
      expect.stringMatching(/^a.csv does not end with a line end/),
      'a.csv:3: 1 cells in a row under a header of 2',
      'a.csv:4: primary key field "id" is missing, empty or no scalar',
      'a.csv:5: the last row has no line end, it may be cut short',
    ]);
    expect(b?.warnings).toEqual(['b.jsonl does not end with a line end: its last row will be rejected']);
    expect(c?.warnings).toEqual(['there are no rows to infer a schema from']);
    expect(d?.warnings).toEqual([
      'd.csv has no column "id" in its header, which the scope or primary key names',
      'there are no rows to infer a schema from',
    ]);
  });

  it('finds the other models where one cannot be read', async () => {
    await source.write('a.csv', 'id\n1\n');
    await source.write('b.csv', '');
    const models = { a: { file: 'a.csv' }, b: { file: 'b.csv' }, c: { file: 'c.csv' } };
    expect((await discover({ models })).map(({ name, warnings }) => [name, ...warnings])).toEqual([
      ['a'],
      [
        'b',
        'b.csv is empty: even without rows a CSV file begins with a header',
        'there are no rows to infer a schema from',
      ],
      ['c', 'c.csv does not exist (any more)', 'there are no rows to infer a schema from'],
    ]);
  });

  it('takes no row for a header: where the primary key is missing, nothing of it is shown', async () => {
    await source.write('a.csv', '1,Ada,secret,secret\n2,Grace,x,y\n');
    const models = await discover();
    expect(schemaOf(models[0])).not.toHaveProperty('properties');
    expect(JSON.stringify(models[0]?.warnings)).not.toMatch(/Ada|secret/);
  });

  it('finds files whose names read like globs', async () => {
    await source.write('people (1).csv', 'id\n1\n');
    await source.write('people[2].csv', 'id\n2\n');
    const models = await discover();
    expect(models.map(({ name, warnings }) => [name, warnings])).toEqual([
      ['people_2_', []],
      ['people__1_', []],
    ]);
    expect((await source.read({}, 'people_2_', { fields: ['id'] })).records).toEqual([['2', '{"id":"2"}']]);
  });

  it('knows the columns of a table without rows', async () => {
    await source.write('c.csv', 'id,name,ssn\n');
    const [model] = await discover();
    expect(schemaOf(model)).toMatchObject({ properties: { id: {}, name: {}, ssn: {} } });
    expect(model?.sensitiveFields).toEqual(['ssn']);
  });
});
