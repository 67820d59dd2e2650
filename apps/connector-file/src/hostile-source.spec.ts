import { chmod, mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FileSource } from './testing/file-source.js';

// Sources that would make a snapshot look complete though it is not, or bring the connector down for everybody.

let source: FileSource;
beforeEach(async () => {
  source = await FileSource.start();
});
afterEach(() => source.stop());

const glob = (file: string, more: object = {}) => ({ models: { m: { file, ...more } } });

/** Folders without permission hold back everybody but the superuser. */
async function asAnybody<T>(work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return work();
  process.seteuid?.('nobody');
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}

describe('a glob', () => {
  it('does not take the files of a folder that it cannot list for gone', async () => {
    await source.write('parts/a/1.csv', 'id,name\n1,a\n');
    await source.write('parts/b/2.csv', 'id,name\n2,b\n');
    await chmod(source.folder, 0o755);
    await chmod(join(source.folder, 'parts/b'), 0);
    await asAnybody(() =>
      expect(source.read(glob('parts/**/*.csv'), 'm')).rejects.toMatchObject({
        reason: 'SOURCE_CONFIG_INVALID',
        message: expect.stringContaining('read permission'),
      }),
    );
    await chmod(join(source.folder, 'parts/b'), 0o755);
    expect((await source.read(glob('parts/**/*.csv'), 'm')).records).toHaveLength(2);
  });

  it('reads a file and a folder that became links to what they were', async () => {
    await source.write('parts/a/1.csv', 'id,name\n1,a\n');
    await source.write('parts/b/2.csv', 'id,name\n2,b\n');
    await mkdir(join(source.folder, 'store'));
    await rename(join(source.folder, 'parts/a/1.csv'), join(source.folder, 'store/1'));
    await symlink('../../store/1', join(source.folder, 'parts/a/1.csv'));
    await rename(join(source.folder, 'parts/b'), join(source.folder, 'store/b'));
    await symlink('../store/b', join(source.folder, 'parts/b'));
    const { records, end } = await source.read(glob('parts/**/*.csv'), 'm');
    expect(records.map(([id]) => id)).toEqual(['1', '2']);
    expect(end?.failures).toEqual([]);
  });

  it('fails for a link that leads to nothing, or to a folder outside', async () => {
    await source.write('parts/a.csv', 'id,name\n1,a\n');
    await symlink('nowhere', join(source.folder, 'parts/b.csv'));
    await expect(source.read(glob('parts/*.csv'), 'm')).rejects.toMatchObject({ reason: 'SOURCE_GONE' });
    await symlink('/usr', join(source.folder, 'usr'));
    await expect(source.read(glob('*/*.csv'), 'm')).rejects.toMatchObject({
      message: expect.stringContaining('outside'),
    });
  });

  it.each(['../*', '/etc/*', '.\\./.\\./etc/*', 'x/../../*'])(
    '%s cannot be used to look around',
    async (file) => {
      await expect(source.read(glob(file, { format: 'csv' }), 'm')).rejects.toMatchObject({
        reason: 'SOURCE_CONFIG_INVALID',
        message: expect.stringContaining('may not lead out'),
      });
    },
  );

  it.each([
    '*a*a*a*a*a*a*a*a*a*b',
    '+(+(a))b',
    '(a|aa)+b',
    '[a]+[a]+[a]+[a]+[a]+[a]+[a]+b',
    '{a,aa}+b',
    '{a,aa}{a,aa}{a,aa}{a,aa}b',
    '**/**/**/**/b',
  ])('%s is refused: matching it may take for ever', async (file) => {
    await source.write(`${'a'.repeat(200)}.csv`, 'id,name\n');
    await expect(source.read(glob(file, { format: 'csv' }), 'm')).rejects.toMatchObject({
      reason: 'SOURCE_CONFIG_INVALID',
    });
  });
});

describe('a name that leads outside', () => {
  it('gets one answer, whether there is something or not', async () => {
    const answers = await Promise.all(
      ['../../etc/passwd', '../../etc/no-such-file'].map((file) =>
        source.read(glob(file, { format: 'csv' }), 'm').catch((error: unknown) => error),
      ),
    );
    const texts = answers.map((answer) => String(answer).replace(/etc\/\S+/, ''));
    expect(texts[0]).toContain('outside');
    expect(texts[1]).toBe(texts[0]);
  });
});

describe('a JSON Lines file without a byte', () => {
  it('is complete only if a count file says so', async () => {
    await source.write('m.jsonl', '');
    expect((await source.read(glob('m.jsonl'), 'm')).end?.failures).toEqual([
      expect.stringContaining('m.jsonl is empty'),
    ]);
    await source.write('m.count', '0\n');
    const { end } = await source.read(glob('m.jsonl', { countFile: 'm.count' }), 'm');
    expect(end).toMatchObject({ failures: [], endEvidence: expect.stringContaining('m.jsonl') });
  });
});

describe('a count file', () => {
  it('that changes during the read proves nothing', async () => {
    await source.write('m.csv', 'id,name\n1,a\n2,b\n3,c\n');
    const count = await source.write('m.count', '3\n');
    const config = glob('m.csv', { countFile: 'm.count' });
    const { end } = await source.read(config, 'm', { onPage: () => writeFile(count, '4\n') });
    expect(end?.failures).toEqual(['m.count was changed while the files were read']);
  });

  it('that is large is not read', async () => {
    await source.write('m.csv', 'id,name\n1,a\n');
    await source.write('m.count', Buffer.alloc(1024 * 1024, '1'));
    await expect(source.read(glob('m.csv', { countFile: 'm.count' }), 'm')).rejects.toMatchObject({
      reason: 'SOURCE_CONTRACT_BROKEN',
    });
  });
});

describe('a record of very many values', () => {
  const many = `[${'{},'.repeat(250_000)}0]`;

  it.each([
    ['m.jsonl', `{"id":1,"name":"\\"[,"}\n{"id":2,"x":${many}}\n`, {}],
    ['m.json', `[{"id":1},{"id":2,"x":${many}}]`, {}],
    ['m.csv', `id,name\n1,${'"[{}]"'}\n2,"${many}"\n`, { columns: { name: 'json' } }],
  ])('is rejected before it fills the memory: %s', async (file, content, more) => {
    await source.write(file, content);
    const { records, rejected } = await source.read(glob(file, more), 'm');
    expect(records.map(([id]) => id)).toEqual(['1']);
    expect(rejected).toEqual([expect.stringMatching(/^TOO_LARGE /)]);
  });

  it('is not mistaken for a long text', async () => {
    await source.write('m.jsonl', `{"id":1,"name":"${'\\",[{'.repeat(100_000)}"}\n`);
    expect((await source.read(glob('m.jsonl'), 'm')).records).toHaveLength(1);
  });
});

describe('discovery', () => {
  it('looks at a bounded part of long rows, names and nests', async () => {
    await source.write('long.jsonl', `{"id":1,"t":"${'x'.repeat(9_000_000)}"}\n`.repeat(20));
    await source.write('name.jsonl', `{"id":1,"${'A'.repeat(400_000)}":2}\n`);
    const nest = (prefix: string, depth: number): string =>
      depth === 0
        ? '0'
        : `{${Array.from({ length: 40 }, (_, i) => `"${prefix}${i}":${nest('k', depth - 1)}`).join()}}`;
    await source.write('nest.jsonl', `{"id":1,"n":${nest('k', 3)}}\n`);
    await source.write('wide.csv', `id,${Array.from({ length: 90_000 }, (_, i) => `c${i}`).join()}\n`);
    const { models } = await source.handlers.discover({ settings: source.settings({}) }, source.context);
    expect(models.map(({ name }) => name)).toEqual(['long', 'name', 'nest', 'wide']);
    expect(models[2]?.jsonSchema.length).toBeLessThan(2_000_000);
  });
});
