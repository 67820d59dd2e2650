import { inspect } from 'node:util';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { AuthenticateResponse, Role } from '@tidemark/contracts';
import { TidemarkError } from '@tidemark/model';
import { Metadata } from 'nice-grpc-common';
import { Authenticator } from './authenticator.js';
import { ExpiringCache } from './expiring-cache.js';

const KEY = 'tm_a1_s3cret';

describe('the authenticator', () => {
  let now: number;
  let asked: string[];
  let answer: (apiKey: string) => Promise<AuthenticateResponse>;
  let authenticator: Authenticator;

  const authenticate = (authorization = `Bearer ${KEY}`) =>
    authenticator.authenticate({ metadata: Metadata({ authorization }) });

  beforeEach(() => {
    now = 1_000_000;
    asked = [];
    answer = async () => AuthenticateResponse.fromPartial({ tenantId: 'acme', roles: [Role.READ] });
    const lookUp = (apiKey: string) => {
      asked.push(apiKey);
      return answer(apiKey);
    };
    authenticator = new Authenticator(lookUp, () => now);
  });

  it('asks once for calls at the same time, and again after 30 s', async () => {
    const principals = await Promise.all([
      authenticate(),
      authenticate(`bearer ${KEY}`),
      authenticate(`BEARER  ${KEY}`),
    ]);
    expect(principals).toEqual(Array(3).fill({ tenantId: 'acme', roles: [Role.READ] }));
    now += 29_999;
    await authenticate();
    expect(asked).toEqual([KEY]);
    now += 1;
    await authenticate();
    expect(asked).toEqual([KEY, KEY]);
  });

  it('never keeps the key itself', async () => {
    await authenticate();
    await authenticate('Bearer tm_a1_other');
    expect(inspect(authenticator, { depth: Infinity, showHidden: true })).not.toMatch(/s3cret|tm_a1/);
  });

  it('does not outlive the key’s own expiry', async () => {
    answer = async () =>
      AuthenticateResponse.fromPartial({ tenantId: 'acme', expireTime: new Date(now + 1_000) });
    await authenticate();
    now += 1_000;
    answer = async () => AuthenticateResponse.fromPartial({ tenantId: 'acme', expireTime: new Date(now) });
    await expect(authenticate()).rejects.toMatchObject({
      reason: 'CREDENTIAL_INVALID',
      message: 'the API key has expired',
    });
  });

  it('keeps a refusal for 5 s', async () => {
    answer = async () => {
      throw new TidemarkError('CREDENTIAL_INVALID', 'unknown API key');
    };
    await expect(authenticate()).rejects.toMatchObject({ reason: 'CREDENTIAL_INVALID' });
    now += 4_999;
    await expect(authenticate()).rejects.toMatchObject({ reason: 'CREDENTIAL_INVALID' });
    expect(asked).toHaveLength(1);
    now += 1;
    await expect(authenticate()).rejects.toMatchObject({ reason: 'CREDENTIAL_INVALID' });
    expect(asked).toHaveLength(2);
  });

  it('keeps no outage', async () => {
    answer = async () => {
      throw new TidemarkError('SERVICE_UNAVAILABLE', 'down');
    };
    await expect(authenticate()).rejects.toMatchObject({ reason: 'SERVICE_UNAVAILABLE' });
    answer = async () => AuthenticateResponse.fromPartial({ tenantId: 'acme' });
    expect(await authenticate()).toMatchObject({ tenantId: 'acme' });
  });

  it('does not blame the caller for the gateway’s own token', async () => {
    answer = async () => {
      throw new TidemarkError('CREDENTIAL_INVALID', 'no', { metadata: { credential: 'internal' } });
    };
    await expect(authenticate()).rejects.not.toMatchObject({ reason: 'CREDENTIAL_INVALID' });
  });

  it.each([
    'Bearer',
    'Bearer tm_a',
    'Bearer sk_a_b',
    'Basic tm_a_b',
    `Internal ${KEY}`,
    'Bearer tm_a_b c',
    'tm_a_b',
    `Bearer tm_a_${'x'.repeat(300)}`,
  ])('refuses a malformed `%s` without asking', async (authorization) => {
    await expect(authenticate(authorization)).rejects.toMatchObject({ reason: 'CREDENTIAL_INVALID' });
    expect(asked).toEqual([]);
  });

  it('says that a key is missing', async () => {
    const call = authenticator.authenticate({ metadata: Metadata() });
    await expect(call).rejects.toMatchObject({ reason: 'CREDENTIAL_MISSING' });
  });
});

describe('the expiring cache', () => {
  it('drops the least recently used entry beyond its bound', () => {
    const cache = new ExpiringCache<number>(2, () => 0);
    cache.set('a', 1, 10);
    cache.set('b', 2, 10);
    cache.get('a');
    cache.set('c', 3, 10);
    expect([cache.get('a'), cache.get('b'), cache.get('c'), cache.size]).toEqual([1, undefined, 3, 2]);
  });

  it('drops what expired', () => {
    let now = 0;
    const cache = new ExpiringCache<number>(2, () => now);
    cache.set('a', 1, 10);
    now = 10;
    expect([cache.get('a'), cache.size]).toEqual([undefined, 0]);
  });
});
