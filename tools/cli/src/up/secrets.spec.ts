import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSecrets } from './secrets.js';

const key = (byte: number): string => Buffer.alloc(32, byte).toString('base64');
const [A, B, C] = [key(1), key(2), key(3)];
const rest = { internalToken: 'x'.repeat(32), apiKey: 'tm_boot_secret' };

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-secrets-'));
  path = join(folder, 'secrets.json');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function load(content: object, env: Record<string, string> = {}) {
  await writeFile(path, JSON.stringify(content));
  return (await loadSecrets(path, env)).secrets;
}

describe('the first start', () => {
  it('makes secrets, warns, and keeps them', async () => {
    const first = await loadSecrets(path, {});
    expect(Buffer.from(first.secrets.masterKey, 'base64')).toHaveLength(32);
    expect(first.secrets.previousMasterKeys).toEqual([]);
    expect(first.notice).toMatch(/made a master key.*without its master key/);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await loadSecrets(path, {})).toEqual({ secrets: first.secrets, notice: undefined });
  });

  it('leaves a given master key where it is', async () => {
    const { secrets, notice } = await loadSecrets(path, { TIDEMARK_MASTER_KEY: A });
    expect(secrets).toMatchObject({ masterKey: A, previousMasterKeys: [] });
    expect(notice).toContain('that of the environment');
    expect(await readFile(path, 'utf8')).not.toContain(A);
    await expect(loadSecrets(path, {})).rejects.toMatchObject({
      reason: 'CONFIG_INVALID',
      message: expect.stringContaining('holds no masterKey'),
    });
  });
});

describe('master keys', () => {
  const given = { TIDEMARK_MASTER_KEY: B };
  it.each([
    { of: 'the file', content: { masterKey: A }, env: {}, current: A, previous: [] },
    {
      of: 'a changed file',
      content: { masterKey: B, previousMasterKeys: [A] },
      env: {},
      current: B,
      previous: [A],
    },
    { of: 'both', content: { masterKey: A }, env: given, current: B, previous: [A] },
    { of: 'both, equal', content: { masterKey: B }, env: given, current: B, previous: [] },
    { of: 'the environment', content: {}, env: given, current: B, previous: [] },
    {
      of: 'everywhere',
      content: { masterKey: A, previousMasterKeys: [B, C] },
      env: { ...given, TIDEMARK_PREVIOUS_MASTER_KEYS: `${C},${A}` },
      current: B,
      previous: [C, A],
    },
  ])('of $of', async ({ content, env, current, previous }) => {
    const secrets = await load({ ...content, ...rest }, env);
    expect(secrets).toEqual({ masterKey: current, previousMasterKeys: previous, ...rest });
  });

  it('are nine at most', async () => {
    const previousMasterKeys = Array.from({ length: 8 }, (_, n) => key(10 + n));
    expect((await load({ masterKey: A, previousMasterKeys, ...rest })).previousMasterKeys).toHaveLength(8);
    await expect(load({ masterKey: A, previousMasterKeys, ...rest }, given)).rejects.toMatchObject({
      reason: 'CONFIG_INVALID',
      message: expect.stringContaining('must be no more than 8 keys'),
    });
  });
});

describe('what is malformed', () => {
  it.each([
    { fault: 'masterKey must be 32 bytes in base64', content: { masterKey: 'c2VjcmV0', ...rest } },
    {
      fault: 'previousMasterKeys.1 must be 32 bytes in base64',
      content: { masterKey: A, previousMasterKeys: [B, 'c2VjcmV0'], ...rest },
    },
    {
      fault: 'previousMasterKeys must be a list of keys',
      content: { masterKey: A, previousMasterKeys: 'c2VjcmV0', ...rest },
    },
    { fault: 'previousMasterKey"', content: { masterKey: A, previousMasterKey: 'c2VjcmV0', ...rest } },
    { fault: 'internalToken', content: { masterKey: A, apiKey: rest.apiKey } },
  ])('is named and not quoted: $fault', async ({ content, fault }) => {
    const refused = expect.objectContaining({
      reason: 'CONFIG_INVALID',
      message: expect.stringContaining(fault),
    });
    await expect(load(content)).rejects.toEqual(refused);
    await expect(load(content)).rejects.not.toThrow(/c2VjcmV0/);
  });

  it('is not replaced', async () => {
    await writeFile(path, '{"masterKey": "c2Vjcm');
    await expect(loadSecrets(path, {})).rejects.toThrow(/is damaged \(it is no JSON\)/);
    expect(await readFile(path, 'utf8')).toBe('{"masterKey": "c2Vjcm');
  });

  it.each(['TIDEMARK_MASTER_KEY', 'TIDEMARK_PREVIOUS_MASTER_KEYS'])('in %s is refused', async (name) => {
    await expect(load({ masterKey: A, ...rest }, { [name]: 'c2VjcmV0' })).rejects.toMatchObject({
      reason: 'CONFIG_INVALID',
      message: `The environment is not valid: ${name}: must be 32 bytes in base64`,
    });
  });
});
