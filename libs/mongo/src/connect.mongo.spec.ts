import { describe, expect, it } from '@jest/globals';
import { testMongoUri } from '../../../jest/database.js';
import { connectMongo } from './connect.js';

describe('connectMongo', () => {
  it('connects to a replica set with majority reads and writes', async () => {
    const client = await connectMongo(testMongoUri(), { appName: 'connect-test', maxPoolSize: 3 });
    try {
      expect(client.options).toMatchObject({ retryWrites: true, ignoreUndefined: false, maxPoolSize: 3 });
      expect(client.options.writeConcern?.w).toBe('majority');
      expect(client.options.readConcern?.level).toBe('majority');
    } finally {
      await client.close();
    }
  });

  it('names the address, not the password, when nothing answers', async () => {
    const uri = 'mongodb://user:hunter2@127.0.0.1:1/?replicaSet=none';
    const error: unknown = await connectMongo(uri, {
      appName: 'connect-test',
      selectionTimeoutMs: 100,
    }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
    expect(String(error)).toContain('127.0.0.1:1');
    expect(String(error)).not.toContain('hunter2');
  });

  it('refuses an address that is none, without quoting it', async () => {
    const error: unknown = await connectMongo('hunter2', { appName: 'x' }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ reason: 'CONFIG_INVALID' });
    expect(String(error)).not.toContain('hunter2');
  });
});
