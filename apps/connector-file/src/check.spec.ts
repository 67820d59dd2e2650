import { chmod, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FileSource } from './testing/file-source.js';

let source: FileSource;
beforeEach(async () => (source = await FileSource.start()));
afterEach(() => source.stop());

const check = async (config: object): Promise<string[]> =>
  (await source.handlers.check({ settings: source.settings(config) }, source.context)).problems;

describe('check', () => {
  it('finds nothing wrong with what can be read', async () => {
    await source.write('deep/er/a.csv', 'id,n\n1,2\n');
    await source.write('n.count', '1');
    expect(await check({ path: 'deep/er' })).toEqual([]);
    expect(
      await check({
        path: source.folder,
        models: { a: { file: 'deep/**/*.csv', countFile: 'n.count', columns: { n: 'number' } } },
      }),
    ).toEqual([]);
  });

  it('tells of every fault, and what to do', async () => {
    await source.write('a.csv', 'name\nx\n');
    await source.write('bad.count', 'many');
    const models = {
      a: { file: 'a.csv', countFile: 'bad.count' },
      b: { file: 'b.csv' },
      c: { file: 'c-*.csv' },
      d: { file: 'bad.count' },
    };
    expect(await check({ models })).toEqual([
      'bad.count holds no number of rows.',
      'a.csv has no column "id" in its header, which the scope or primary key names.',
      'b.csv does not exist (any more).',
      'no file matches c-*.csv.',
      'the format of bad.count is not clear from its name: set format.',
    ]);
    expect(await check({ path: 'empty' })).toEqual([
      'there is no folder empty in the folders that the connector may read from.',
    ]);
    await mkdir(join(source.folder, 'empty'));
    expect(await check({ path: 'empty' })).toEqual([
      'empty holds no .csv, .jsonl, .ndjson or .json file: put some there, or declare models.',
    ]);
    expect(await check({ path: 'a.csv' })).toEqual(['a.csv is a file; the path names the folder around it.']);
  });
});

describe('what lies outside of the roots', () => {
  const outside = /lies outside of the folders that the connector may read from/;

  it.each(['/etc', '/no/such/folder', '..', '../..', 'sub/../..', '/'])(
    'is refused as a folder: %s',
    async (path) => {
      const [problem] = await check({ path });
      expect(problem).toMatch(outside);
    },
  );

  it('is refused through links and globs too, as a folder, a file and a count file', async () => {
    await source.write('in/a.csv', 'id,name\n1,A\n');
    await symlink('/etc', join(source.folder, 'etc'));
    await symlink('/etc/passwd', join(source.folder, 'in/passwd.csv'));
    await symlink('nowhere', join(source.folder, 'in/dangling.csv'));
    await symlink('a.csv', join(source.folder, 'in/fine.csv'));
    expect(await check({ path: 'etc' })).toEqual([expect.stringMatching(outside)]);
    for (const file of ['passwd.csv', '../../../etc/passwd', 'p*.csv', '/etc/passwd']) {
      const config = { path: 'in', models: { m: { file, format: 'csv', primaryKey: ['root'] } } };
      await expect(source.read(config, 'm')).rejects.toMatchObject({
        reason: expect.stringMatching(/SOURCE_CONFIG_INVALID|SOURCE_GONE/) as unknown,
      });
    }
    const counted = { path: 'in', models: { m: { file: 'a.csv', countFile: '../../../etc/hostname' } } };
    await expect(source.read(counted, 'm')).rejects.toMatchObject({
      reason: expect.stringMatching(/SOURCE_CONFIG_INVALID|SOURCE_GONE/) as unknown,
    });
    await expect(source.read({ path: 'in' }, 'dangling')).rejects.toMatchObject({ reason: 'SOURCE_GONE' });
    expect((await source.read({ path: 'in' }, 'fine')).records).toHaveLength(1);
  });

  it('and what is no file is refused', async () => {
    await mkdir(join(source.folder, 'a.csv'));
    await expect(source.read({}, 'a')).rejects.toMatchObject({ reason: 'SOURCE_CONFIG_INVALID' });
  });

  it('and what may not be read is a fault of the config', async () => {
    await chmod(await source.write('a.csv', 'id\n1\n'), 0o000);
    await chmod(source.folder, 0o755);
    // The superuser may read everything, so it acts as nobody here.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      await expect(source.read({}, 'a', { fields: ['id'] })).rejects.toMatchObject({
        reason: 'SOURCE_CONFIG_INVALID',
      });
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });
});
