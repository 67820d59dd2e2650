import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { TidemarkError, type ErrorReason } from '@tidemark/model';
import { SourceBreakers } from './source-breakers.js';

const HR = { breaker: 'acme/hr', connector: 'http' };
const JOBS = { breaker: 'acme/jobs', connector: 'http' };
const FILES = { breaker: 'acme/files', connector: 'file' };
const LIMITS = {
  timeoutMs: 60_000,
  volumeThreshold: 2,
  errorThresholdPercentage: 49,
  resetTimeoutMs: 60_000,
  windowMs: 60_000,
};

let breakers: SourceBreakers;
beforeEach(() => void (breakers = new SourceBreakers(LIMITS)));
afterEach(() => breakers.shutdown());

const failing = (reason: ErrorReason) => () => Promise.reject(new TidemarkError(reason, 'it failed'));
const working = () => Promise.resolve('up');

async function fail(target: typeof HR, reason: ErrorReason, times = 2): Promise<void> {
  for (let call = 0; call < times; call++)
    await expect(breakers.run(target, failing(reason))).rejects.toMatchObject({ reason });
  // opossum counts a failure a moment later.
  await new Promise((resolve) => setImmediate(resolve));
}

async function reaches(target: typeof HR, which: 'own' | 'connectors', state: string): Promise<void> {
  while (breakers.peek(target)[which]?.state !== state)
    await new Promise((resolve) => setTimeout(resolve, 1));
}

describe('the breakers of sources', () => {
  test.each<ErrorReason>(['SOURCE_UNAVAILABLE', 'DEADLINE_EXCEEDED'])(
    'a source with %s opens its own connection alone',
    async (reason) => {
      await fail(HR, reason);
      await expect(breakers.run(HR, working)).rejects.toMatchObject({
        reason: 'CIRCUIT_OPEN',
        message: expect.stringMatching(/^the source of connection hr is down; it is tried again at /),
      });
      await expect(breakers.run(JOBS, working)).resolves.toBe('up');
      expect(breakers.peek(HR).connectors?.state).toBe('closed');
    },
  );

  test('a connector that is down opens for all of its connections, and says nothing of their sources', async () => {
    await fail(HR, 'SERVICE_UNAVAILABLE');
    for (const target of [HR, JOBS]) {
      await expect(breakers.run(target, working)).rejects.toMatchObject({
        reason: 'CIRCUIT_OPEN',
        message: expect.stringMatching(/^connector http is down; it is tried again at /),
        retryAfterMs: expect.any(Number),
      });
    }
    await expect(breakers.callConnector('http', working)).rejects.toMatchObject({ reason: 'CIRCUIT_OPEN' });
    expect(breakers.peek(HR).own?.state).toBe('closed');
    await expect(breakers.run(FILES, working)).resolves.toBe('up');
  });

  test.each<ErrorReason>([
    'SOURCE_CREDENTIALS_REJECTED',
    'SOURCE_CONFIG_INVALID',
    'SOURCE_CONTRACT_BROKEN',
    'SOURCE_GONE',
    'SOURCE_CHANGED',
    'MODEL_NOT_FOUND',
    'CANCELLED',
    'INTERNAL',
  ])('%s opens nothing', async (reason) => {
    await fail(HR, reason, 10);
    expect(breakers.peek(HR)).toMatchObject({ own: { state: 'closed' }, connectors: { state: 'closed' } });
  });

  test('failures in the middle of a stream count for whose they are', async () => {
    await breakers.run(HR, working);
    for (let call = 0; call < 3; call++) breakers.report(HR, new TidemarkError('SOURCE_UNAVAILABLE', 'gone'));
    await reaches(HR, 'own', 'open');
    for (let call = 0; call < 3; call++)
      breakers.report(JOBS, new TidemarkError('SERVICE_UNAVAILABLE', 'gone'));
    await reaches(HR, 'connectors', 'open');
    breakers.report(FILES, new TidemarkError('SOURCE_CHANGED', 'changed'));
    expect(breakers.peek(FILES).own).toBeUndefined();
  });

  test('a connector lets one connection probe it, and a source is not probed through a connector that is down', async () => {
    breakers.shutdown();
    breakers = new SourceBreakers({ ...LIMITS, resetTimeoutMs: 20 });
    await fail(HR, 'SERVICE_UNAVAILABLE');
    await fail(JOBS, 'SOURCE_UNAVAILABLE').catch(() => undefined);
    await reaches(HR, 'connectors', 'half-open');
    let finish: (value: string) => void = () => undefined;
    const probe = breakers.run(HR, () => new Promise<string>((resolve) => (finish = resolve)));
    await new Promise((resolve) => setImmediate(resolve));
    let calls = 0;
    const call = () => Promise.resolve(calls++);
    await expect(breakers.run(JOBS, call)).rejects.toMatchObject({ reason: 'CIRCUIT_OPEN' });
    await expect(breakers.run(HR, call)).rejects.toMatchObject({ reason: 'CIRCUIT_OPEN' });
    expect(calls).toBe(0);
    finish('up');
    await probe;
    await reaches(HR, 'connectors', 'closed');
  });
});
