import { describe, expect, it } from '@jest/globals';
import { parseJson } from '@tidemark/model';
import { SchemaInference } from './schema-inference.js';

function infer(...records: string[]) {
  const inference = new SchemaInference();
  records.forEach((record) => inference.add(parseJson(record)));
  return inference;
}

const properties = (...records: string[]) =>
  (infer(...records).jsonSchema('m', ['id']) as { properties: Record<string, unknown> }).properties;

describe('SchemaInference', () => {
  it('describes records of any shape', () => {
    const schema = infer(
      '{"id":1,"name":"A","n":1.10,"tags":["x"],"work":{"city":"Bonn","since":"2026-01-31"},"on":true}',
      '{"id":12345678901234567890,"name":null,"n":2,"tags":[],"work":null,"on":"yes"}',
    ).jsonSchema('people', ['id']);
    expect(schema).toEqual({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      title: 'people',
      type: 'object',
      required: ['id'],
      properties: {
        id: { type: 'integer' },
        name: { type: ['string', 'null'] },
        n: { type: 'number' },
        tags: { type: 'array', items: { type: 'string' } },
        work: {
          type: ['object', 'null'],
          properties: { city: { type: 'string' }, since: { type: 'string', format: 'date' } },
        },
        on: { type: ['string', 'boolean'] },
      },
    });
  });

  it.each([
    ['"2026-02-28"', '"2024-02-29"', { type: 'string', format: 'date' }],
    ['"2026-02-30"', '"2026-01-01"', { type: 'string' }],
    ['"2026-01-01T10:00:00Z"', '"2026-01-01T10:00:00.123+02:00"', { type: 'string', format: 'date-time' }],
    ['"a@b.example"', '"c@d.example"', { type: 'string', format: 'email' }],
    ['"https://a.example/x"', '"ftp://b"', { type: 'string', format: 'uri' }],
    ['"a@b.example"', '"none"', { type: 'string' }],
    ['"2026-01-01"', '""', { type: 'string', anyOf: [{ format: 'date' }, { const: '' }] }],
  ])('sees the format of %s and %s', (a, b, expected) => {
    expect(properties(`{"x":${a}}`, `{"x":${b}}`)['x']).toEqual(expected);
  });

  it('never lists the keys of a map, for they are data', () => {
    const keys = Array.from({ length: 300 }, (_, i) => `"user${i}@acme.example":1`);
    expect(properties(`{"by_user":{${keys.join()}}}`)['by_user']).toEqual({ type: 'object' });
  });

  it('holds no value', () => {
    const schema = JSON.stringify(
      infer('{"id":"secret-1","list":["secret-2",{"x":"secret-3"}],"__proto__":{"y":"secret-4"}}').jsonSchema(
        'm',
        ['id'],
      ),
    );
    expect(schema).not.toContain('secret');
    expect(schema).toContain('__proto__');
  });

  it('finds sensitive fields by name and by value, at any depth', () => {
    const inference = infer(
      '{"id":1,"ssn":null,"a.b":{"salary":1},"jobs":[{"title":"x","pay_rate":1}],"ref":"DE89370400440532013000","card":4111111111111111,"code":"123-45-6789"}',
      '{"id":2,"code":"x","home":{"zip":1}}',
      '{"id":3,"code":"y"}',
    );
    expect(inference.sensitiveFields()).toEqual(['a\\.b.salary', 'card', 'jobs.pay_rate', 'ref', 'ssn']);
  });

  it('stays small for what is nested without end', () => {
    let record = '1';
    for (let i = 0; i < 60; i++) record = `{"x":${record}}`;
    expect(JSON.stringify(infer(record).jsonSchema('m', ['id'])).length).toBeLessThan(1000);
  });
});
