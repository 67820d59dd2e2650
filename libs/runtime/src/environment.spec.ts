import { describe, expect, it } from '@jest/globals';
import { TidemarkError } from '@tidemark/model';
import { z } from 'zod';
import { address, logLevel, readEnvironment, secret } from './environment.js';

const SCHEMA = z.object({
  PORT: z.coerce.number().int().min(0).max(65_535),
  ADDRESS: address,
  LEVEL: logLevel,
  SECRET: secret,
  NOTE: z.string().optional(),
});
const GOOD = { PORT: '7100', ADDRESS: '127.0.0.1:7101', SECRET: 'x'.repeat(32), OTHER: 'ignored' };

function faults(env: Record<string, string>): TidemarkError {
  try {
    readEnvironment(SCHEMA, env);
  } catch (error) {
    if (error instanceof TidemarkError) {
      return error;
    }
    throw error;
  }
  throw new Error('no fault was found');
}

describe('readEnvironment', () => {
  it('gives back typed values with defaults', () => {
    expect(readEnvironment(SCHEMA, { ...GOOD, NOTE: '' })).toEqual({
      PORT: 7100,
      ADDRESS: '127.0.0.1:7101',
      LEVEL: 'info',
      SECRET: GOOD.SECRET,
    });
  });

  it('names every fault at once and quotes no value', () => {
    const error = faults({ PORT: '70000', ADDRESS: 'nowhere', LEVEL: 'loud', SECRET: 'hunter2' });
    expect(error.reason).toBe('CONFIG_INVALID');
    expect(error.violations.map(({ field }) => field)).toEqual(['PORT', 'ADDRESS', 'LEVEL', 'SECRET']);
    for (const value of ['70000', 'nowhere', 'loud', 'hunter2']) {
      expect(error.message).not.toContain(value);
    }
  });

  it('says that a missing or empty variable is required', () => {
    expect(faults({ ...GOOD, PORT: '' }).message).toContain('PORT: is required');
  });

  it('freezes at any depth', () => {
    const nested = z.object({ A: z.string() }).transform(({ A }) => ({ inner: { a: A } }));
    const config = readEnvironment(nested, { A: 'x' });
    expect(Object.isFrozen(config.inner)).toBe(true);
  });
});
