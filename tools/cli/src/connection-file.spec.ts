import { describe, expect, it } from '@jest/globals';
import { isTidemarkError } from '@tidemark/model';
import { parseConnectionFile } from './connection-file.js';

const PATH = '/srv/hr/connection.yaml';

function parse(text: string, env: Record<string, string> = {}) {
  return parseConnectionFile(text, { path: PATH, env });
}

function faultsOf(text: string, env: Record<string, string> = {}): string {
  try {
    parse(text, env);
  } catch (error) {
    if (isTidemarkError(error, 'REQUEST_INVALID')) {
      return error.message;
    }
    throw error;
  }
  return 'no fault';
}

const json = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString('utf8'));

describe('a connection file', () => {
  it('becomes what the API takes', () => {
    const spec = parse(
      `
name: acme-hr
connector: http
config: { url: 'https://hr.example/api', per_page: 100 }
credentials: { token: '\${HR_TOKEN}', user: 'a\${HR_USER}b' }
scope:
  employees: { fields: [id, first_name, work_location.city], index: [work_location.city] }
  jobs: { fields: [id] }
  teams: [id, name]
schedule:
  fullInterval: 3h
  deltaInterval: never
  models: { jobs: { fullInterval: 1h30m } }
guard: { maxDeletedShare: 0.1, minDeletedRecords: 10 }
`,
      { HR_TOKEN: 'tk: "1"', HR_USER: 'x' },
    );
    expect(spec).toMatchObject({
      id: 'acme-hr',
      connector: 'http',
      scope: {
        models: [
          {
            model: 'employees',
            fields: ['id', 'first_name', 'work_location.city'],
            indexFields: ['work_location.city'],
          },
          { model: 'jobs', fields: ['id'], indexFields: [] },
          { model: 'teams', fields: ['id', 'name'], indexFields: [] },
        ],
      },
      schedule: {
        fullInterval: { seconds: 10_800n, nanos: 0 },
        deltaInterval: { seconds: 0n, nanos: 0 },
        models: new Map([['jobs', { fullInterval: { seconds: 5400n, nanos: 0 }, deltaInterval: undefined }]]),
      },
      guard: { maxDeletedShare: 0.1, minDeletedRecords: 10 },
    });
    expect(json(spec.config)).toEqual({ url: 'https://hr.example/api', per_page: 100 });
    expect(json(spec.credentials)).toEqual({ token: 'tk: "1"', user: 'axb' });
  });

  it('leaves what it does not say to the server', () => {
    expect(parse('{"name": "a", "connector": "http"}')).toEqual({
      id: 'a',
      connector: 'http',
      config: new Uint8Array(Buffer.from('{}')),
      credentials: new Uint8Array(0),
      scope: undefined,
      schedule: undefined,
      guard: undefined,
    });
  });

  it.each([
    ['a relative folder', 'path: ./exports', '/srv/hr/exports'],
    ['a folder above', 'path: ../exports', '/srv/exports'],
    ['an absolute folder', 'path: /data', '/data'],
  ])('takes %s of the connector file as seen from the file itself', (_, config, expected) => {
    const spec = parse(`{name: a, connector: file, config: {${config}}}`);
    expect(json(spec.config)).toEqual({ path: expected });
  });

  it('leaves a path of another connector alone', () => {
    expect(json(parse('{name: a, connector: http, config: {path: ./x}}').config)).toEqual({ path: './x' });
  });

  it('keeps the digits of large integers, and keys that JavaScript knows', () => {
    const spec = parse(
      '{"name":"a","connector":"http","config":{"account":12345678901234567890,"__proto__":{"x":1}}}',
    );
    expect(Buffer.from(spec.config).toString('utf8')).toBe(
      '{"account":12345678901234567890,"__proto__":{"x":1}}',
    );
  });

  it.each([
    [
      'an unset variable, by its name',
      'credentials: {token: "${NOPE}"}',
      'credentials.token needs the environment variable NOPE',
    ],
    ['a faulty placeholder', 'config: {a: ["${not a name}"]}', 'config.a.0 has a faulty placeholder'],
    ['an unfinished placeholder', 'config: {a: "${X"}', 'config.a has a faulty placeholder'],
    ['an unknown key', 'shedule: {}', 'unknown keys: shedule; allowed are name, connector, config'],
    [
      'an unknown key within',
      'guard: {maxDeleted: 1}',
      'guard has unknown keys: maxDeleted; allowed are maxDeletedShare',
    ],
    [
      'a duration without a unit',
      'schedule: {fullInterval: 30}',
      'schedule.fullInterval must be a duration such as 5m',
    ],
    ['a share above 1', 'guard: {maxDeletedShare: 20}', 'guard.maxDeletedShare must be 1 or less'],
    ['a scope that is no list', 'scope: {employees: id}', 'scope.employees must be a list of field paths'],
    ['a config that is no object', 'config: [1]', 'config must be an object'],
    ['a second document', '---\nname: b', 'is no YAML or JSON: line'],
    ['a key twice', 'name: b', 'DUPLICATE_KEY'],
  ])('refuses %s', (_, line, expected) => {
    expect(faultsOf(`name: a\nconnector: http\n${line}\n`)).toContain(expected);
  });

  it('tells all faults at once and never a value', () => {
    const faults = faultsOf(
      'name: Acme HR\nconnector: http\ncredentials: {a: "${A}", b: "secret ${B}"}\nx: 1\n',
    );
    expect(faults.split('\n').length).toBe(5);
    expect(faults).not.toContain('secret');
  });

  it('does not quote a file that is not well-formed', () => {
    expect(faultsOf('credentials: {token: "hunter2\nname: [')).not.toContain('hunter2');
  });

  it('takes text from the environment as text, and $${ as itself', () => {
    const spec = parse('{name: a, connector: http, config: {n: "${N}", literal: "$${N}"}}', { N: '007' });
    expect(json(spec.config)).toEqual({ n: '007', literal: '${N}' });
  });
});
