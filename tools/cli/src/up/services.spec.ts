import { describe, expect, it } from '@jest/globals';
import { serviceSpec, type ServiceName, type Surroundings } from './services.js';

const key = (byte: number): string => Buffer.alloc(32, byte).toString('base64');

const surroundings: Surroundings = {
  env: {
    PATH: '/bin',
    MONGODB_URI: 'mongodb://secret@db/',
    TIDEMARK_MASTER_KEY: key(9),
    TIDEMARK_API_KEY: 'tm_mine_secret',
    TIDEMARK_HISTORY_DAYS: '7',
  },
  secrets: {
    masterKey: key(1),
    previousMasterKeys: [key(2), key(3)],
    internalToken: 'x'.repeat(32),
    apiKey: 'tm_boot_secret',
  },
  mongodbUri: 'mongodb://127.0.0.1:27017/',
  fileRoots: ['/srv'],
  logsDir: '/logs',
  gatewayPort: 7100,
};

const envOf = (name: ServiceName) => serviceSpec(name, surroundings, {}).env;

describe('the environment of services', () => {
  it.each(['store', 'scheduler'] as const)('gives %s the master keys', (name) => {
    expect(envOf(name)).toMatchObject({
      TIDEMARK_MASTER_KEY: key(1),
      TIDEMARK_PREVIOUS_MASTER_KEYS: `${key(2)},${key(3)}`,
    });
  });

  it.each(['connector-file', 'gateway'] as const)('keeps master keys and the database from %s', (name) => {
    expect(JSON.stringify(envOf(name))).not.toMatch(/MASTER_KEY|mongodb|tm_/);
  });

  it('passes on what is for services, and the rest of the environment', () => {
    expect(envOf('store')).toMatchObject({ PATH: '/bin', TIDEMARK_HISTORY_DAYS: '7' });
  });
});
