import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findTarget } from './target.js';

const WRITTEN = { address: '127.0.0.1:7311', apiKey: 'tm_a_file' };
let folder: string;
let below: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-target-'));
  below = join(folder, 'a', 'b');
  await mkdir(below, { recursive: true });
  await mkdir(join(folder, '.tidemark'));
  await writeFile(join(folder, '.tidemark', 'cli.json'), JSON.stringify(WRITTEN));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the gateway of a command', () => {
  it('is what `tidemark up` wrote in a folder above', async () => {
    expect(await findTarget({}, {}, below)).toEqual(WRITTEN);
  });

  it('is what TIDEMARK_DATA names', async () => {
    expect(await findTarget({}, { TIDEMARK_DATA: '.tidemark' }, folder)).toEqual(WRITTEN);
  });

  it('is by default the local one, without a key', async () => {
    const none = join(folder, 'none');
    expect(await findTarget({}, { TIDEMARK_DATA: none }, below)).toEqual({
      address: '127.0.0.1:7100',
      apiKey: undefined,
    });
  });

  it('is what the command line says before the environment, and the environment before the file', async () => {
    const env = { TIDEMARK_ADDRESS: '127.0.0.1:2', TIDEMARK_API_KEY: 'tm_a_env' };
    expect(await findTarget({}, env, below)).toEqual({ address: '127.0.0.1:2', apiKey: 'tm_a_env' });
    const given = { address: '127.0.0.1:1', apiKey: 'tm_a_flag' };
    expect(await findTarget(given, env, below)).toEqual(given);
  });

  it('never gets the key of another gateway', async () => {
    expect(await findTarget({ address: '127.0.0.1:9' }, {}, below)).toEqual({
      address: '127.0.0.1:9',
      apiKey: undefined,
    });
  });

  it('says so when the file is damaged, without quoting it', async () => {
    const data = join(folder, 'damaged');
    await mkdir(data);
    await writeFile(join(data, 'cli.json'), '{"apiKey": "tm_a_secret"');
    await expect(findTarget({}, { TIDEMARK_DATA: data }, below)).rejects.toThrow(
      /^(?!.*tm_a_secret).*is damaged/,
    );
  });
});
