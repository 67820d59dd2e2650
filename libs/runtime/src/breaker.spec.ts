import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TidemarkError } from '@tidemark/model';
import { createBreaker, type Breaker, type BreakerOptions } from './breaker.js';
import { Breakers } from './breakers.js';
import { delay } from './delay.js';

class Outage extends Error {}

const OPTIONS: BreakerOptions = {
  timeoutMs: 5_000,
  volumeThreshold: 2,
  errorThresholdPercentage: 50,
  resetTimeoutMs: 60_000,
  isOutage: (error) => error instanceof Outage,
};
const QUICK = { ...OPTIONS, resetTimeoutMs: 20 };
const failing = () => Promise.reject(new Outage('down'));
const working = () => Promise.resolve('up');

let breaker: Breaker;
afterEach(() => {
  breaker.shutdown();
});

const make = (options: BreakerOptions) => {
  breaker = createBreaker('source', options);
};
const outcome = (work: Promise<unknown>) => work.catch((error: unknown) => error);

async function openIt(): Promise<void> {
  await outcome(breaker.run(failing));
  await outcome(breaker.run(failing));
  await reaches('open');
}

async function reaches(state: Breaker['state']): Promise<void> {
  while (breaker.state !== state) {
    await delay(1);
  }
}

/** A call that settles when told. */
function controlled(): { action: () => Promise<string>; settle: (error?: Error) => void } {
  let settle: (error?: Error) => void = () => undefined;
  const promise = new Promise<string>((resolve, reject) => {
    settle = (error) => {
      if (error === undefined) {
        resolve('late');
      } else {
        reject(error);
      }
    };
  });
  return { action: () => promise, settle: (error) => settle(error) };
}

describe('a closed breaker', () => {
  beforeEach(() => make(OPTIONS));

  it('passes values and errors through', async () => {
    await expect(breaker.run(working)).resolves.toBe('up');
    await expect(breaker.run(failing)).rejects.toBeInstanceOf(Outage);
    expect(breaker.state).toBe('closed');
  });

  it('opens on outages, then fails at once and says when to come back', async () => {
    await openIt();
    let called = false;
    const error = await outcome(breaker.run(async () => void (called = true)));
    expect(error).toMatchObject({ reason: 'CIRCUIT_OPEN' });
    expect((error as TidemarkError).retryAfterMs).toBeGreaterThan(0);
    expect(called).toBe(false);
  });

  it('says what is down and when it is tried again', async () => {
    make({ ...OPTIONS, subject: (name) => `the ${name} of hr` });
    expect(breaker.nextProbeTime).toBeUndefined();
    await openIt();
    const error = (await outcome(breaker.run(working))) as TidemarkError;
    expect(error.message).toMatch(/^the source of hr is down; it is tried again at \d{4}-\d\d-\d\dT/);
    expect(breaker.nextProbeTime?.getTime()).toBeGreaterThan(Date.now());
    expect(() => breaker.demandNotOpen()).toThrow(/^the source of hr is down/);
  });

  it('opens on outages that are reported afterwards', async () => {
    await breaker.run(working);
    breaker.reportOutage();
    breaker.reportOutage();
    await reaches('open');
    breaker.reportOutage();
    expect(breaker.state).toBe('open');
  });

  it('learns nothing from errors that say nothing', async () => {
    make({ ...OPTIONS, saysNothing: (error) => error instanceof TypeError });
    for (let call = 0; call < 10; call += 1) {
      await outcome(breaker.run(() => Promise.reject(new TypeError('not reached'))));
    }
    expect(breaker.state).toBe('closed');
  });

  it('stays closed on errors that are answers', async () => {
    for (let call = 0; call < 10; call += 1) {
      await outcome(breaker.run(() => Promise.reject(new TypeError('a 404'))));
    }
    expect(breaker.state).toBe('closed');
  });

  it('stays closed when its callers give up', async () => {
    for (let call = 0; call < 10; call += 1) {
      const caller = new AbortController();
      const run = outcome(breaker.run((signal) => delay(60_000, signal), caller.signal));
      caller.abort(new TidemarkError('CANCELLED', 'gave up'));
      expect(await run).toMatchObject({ reason: 'CANCELLED' });
    }
    expect(breaker.state).toBe('closed');
  });
});

it('aborts the work at the timeout and counts it as an outage', async () => {
  make({ ...OPTIONS, timeoutMs: 10, volumeThreshold: 1 });
  let aborted: AbortSignal | undefined;
  const run = breaker.run((signal) => {
    aborted = signal;
    return new Promise(() => undefined);
  });
  expect(await outcome(run)).toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
  expect(aborted?.aborted).toBe(true);
  await reaches('open');
});

it('bounds the calls in flight, those that ignore their abort included', async () => {
  make({ ...OPTIONS, timeoutMs: 10, maxInFlight: 1, volumeThreshold: 100 });
  const call = controlled();
  await outcome(breaker.run(call.action));
  expect(await outcome(breaker.run(working))).toMatchObject({ reason: 'LIMIT_EXCEEDED' });
  call.settle();
  await delay(0);
  await expect(breaker.run(working)).resolves.toBe('up');
});

describe('a half-open breaker', () => {
  beforeEach(() => make(QUICK));

  it('closes when the probe succeeds', async () => {
    await openIt();
    await reaches('half-open');
    await expect(breaker.run(working)).resolves.toBe('up');
    await reaches('closed');
  });

  it('opens again when the probe meets an outage', async () => {
    await openIt();
    await reaches('half-open');
    await outcome(breaker.run(failing));
    await reaches('open');
  });

  it('lets one probe through at a time', async () => {
    await openIt();
    await reaches('half-open');
    const probe = controlled();
    const run = breaker.run(probe.action);
    expect(await outcome(breaker.run(working))).toMatchObject({ reason: 'CIRCUIT_OPEN' });
    probe.settle();
    await run;
    await reaches('closed');
  });

  it('is not closed by the late success of a call from before the outage', async () => {
    const old = controlled();
    const run = breaker.run(old.action);
    await openIt();
    await reaches('half-open');
    old.settle();
    await expect(run).resolves.toBe('late');
    await delay(0);
    expect(breaker.state).toBe('half-open');
  });

  it('is not closed by a probe that says nothing, and gets another probe', async () => {
    make({ ...QUICK, saysNothing: (error) => error instanceof TypeError });
    await openIt();
    await reaches('half-open');
    breaker.demandNotOpen();
    await outcome(breaker.run(() => Promise.reject(new TypeError('not reached'))));
    expect(breaker.state).toBe('open');
    await reaches('half-open');
    await breaker.run(working);
    await reaches('closed');
  });

  it('is not closed by a probe that its caller gave up, and gets another probe', async () => {
    await openIt();
    await reaches('half-open');
    const caller = new AbortController();
    const run = outcome(breaker.run((signal) => delay(60_000, signal), caller.signal));
    caller.abort();
    await run;
    expect(breaker.state).toBe('open');
    await reaches('half-open');
    await expect(breaker.run(working)).resolves.toBe('up');
    await reaches('closed');
  });
});

it('Breakers keeps one per key, within its bound', () => {
  make(OPTIONS);
  const breakers = new Breakers(OPTIONS, 2);
  const first = breakers.get('a');
  expect(breakers.get('a')).toBe(first);
  breakers.get('b');
  breakers.get('a');
  expect(breakers.peek('b')?.name).toBe('b');
  breakers.get('c');
  expect(breakers.peek('b')).toBeUndefined();
  expect(breakers.list().map(({ name }) => name)).toEqual(['a', 'c']);
  breakers.shutdown();
});
