import { randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { Keyring } from '@tidemark/model';
import type { Connection } from './connection.js';
import { SourceTargets } from './source-targets.js';
import { aConnection } from './testing/a-connection.js';

const targets = new SourceTargets(new Keyring(randomBytes(32)));

function account(credentials: string, changes: Partial<Connection> = {}, of = targets): string {
  const connection = aConnection({ connector: 'http', ...changes });
  const sealedCredentials = of.seal(connection, Buffer.from(credentials));
  return of.of({ ...connection, ...(sealedCredentials === undefined ? {} : { sealedCredentials }) }).account
    .id;
}

describe('the account of a connection', () => {
  const hr = { config: Buffer.from('{"url":"https://hr.example/v1","team":1}') };

  test.each<[string, string, Partial<Connection>]>([
    ['of another tenant and name', '{"token":"t","user":"u"}', { ...hr, tenantId: 'other', id: 'jobs' }],
    ['that writes them otherwise', '{ "user": "u", "token": "t" }', hr],
    [
      'with another config',
      '{"token":"t","user":"u"}',
      { config: Buffer.from('{"url":"https://hr.example/v2"}') },
    ],
  ])('is that of one with equal credentials %s', (_, credentials, changes) => {
    expect(account(credentials, changes)).toBe(account('{"token":"t","user":"u"}', hr));
  });

  test.each<[string, string, Partial<Connection>]>([
    ['other credentials', '{"token":"T"}', hr],
    ['another connector', '{"token":"t"}', { ...hr, connector: 'file' }],
    ['another server', '{"token":"t"}', { config: Buffer.from('{"url":"https://jobs.example/v1"}') }],
    ['none', '', hr],
  ])('is not that of one with %s', (_, credentials, changes) => {
    expect(account(credentials, changes)).not.toBe(account('{"token":"t"}', hr));
  });

  test('is that of who reads the same, without credentials', () => {
    expect(account('', { ...hr, id: 'a' })).toBe(account('{}', { ...hr, id: 'b' }));
    expect(account('', hr)).not.toBe(account('', { config: Buffer.from('{"url":"https://hr.example"}') }));
  });

  test('is a hash under the master key', () => {
    const others = new SourceTargets(new Keyring(randomBytes(32)));
    expect(account('{"token":"t"}', hr)).toMatch(/^[\w-]{43}$/);
    expect(account('{"token":"t"}', hr, others)).not.toBe(account('{"token":"t"}', hr));
  });
});
