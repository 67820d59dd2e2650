import { describe, expect, it } from '@jest/globals';
import { readConfig } from './config.js';

const ENV = {
  TIDEMARK_INTERNAL_TOKEN: 'x'.repeat(32),
  TIDEMARK_STORE_ADDRESS: '127.0.0.1:7101',
  TIDEMARK_SCHEDULER_ADDRESS: '127.0.0.1:7102',
};

describe('the gateway’s settings', () => {
  it('take a free port and level info unless told otherwise', () => {
    expect(readConfig(ENV)).toEqual({
      listen: '127.0.0.1:0',
      internalToken: 'x'.repeat(32),
      logLevel: 'info',
      storeAddress: '127.0.0.1:7101',
      schedulerAddress: '127.0.0.1:7102',
    });
  });

  it('name all faults at once, without the values', () => {
    const env = {
      TIDEMARK_INTERNAL_TOKEN: 'short-secret',
      TIDEMARK_STORE_ADDRESS: 'nowhere',
      TIDEMARK_LISTEN: 'x',
    };
    const read = () => readConfig(env);
    for (const name of ['LISTEN', 'INTERNAL_TOKEN', 'STORE_ADDRESS', 'SCHEDULER_ADDRESS']) {
      expect(read).toThrow(`TIDEMARK_${name}: `);
    }
    expect(read).toThrow(expect.objectContaining({ reason: 'CONFIG_INVALID' }));
    expect(read).not.toThrow(/short-secret|nowhere/);
  });
});
