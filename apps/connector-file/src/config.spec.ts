import { readFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { jsonSchemaOf } from '@tidemark/connector-kit';
import { readConfig } from './config.js';
import { fileSettings } from './settings.js';

const token = 'x'.repeat(32);

describe('readConfig', () => {
  it('reads folders as seen from the working directory', () => {
    const config = readConfig(
      { TIDEMARK_INTERNAL_TOKEN: token, TIDEMARK_FILE_ROOTS: 'exports:/data' },
      '/home/x',
    );
    expect(config).toMatchObject({
      listen: '127.0.0.1:0',
      logLevel: 'info',
      roots: ['/home/x/exports', '/data'],
    });
    expect(readConfig({ TIDEMARK_INTERNAL_TOKEN: token }, '/home/x').roots).toEqual(['/home/x']);
  });

  it('lists every fault', () => {
    expect(() => readConfig({ TIDEMARK_LISTEN: 'x', TIDEMARK_LOG_LEVEL: 'loud' }, '/')).toThrow(
      /TIDEMARK_LISTEN.*TIDEMARK_INTERNAL_TOKEN.*TIDEMARK_LOG_LEVEL/,
    );
  });
});

describe('config.schema.json', () => {
  it('is what the connector serves (`npm run schema` writes it anew)', async () => {
    const committed: unknown = JSON.parse(
      await readFile(new URL('../config.schema.json', import.meta.url), 'utf8'),
    );
    expect(committed).toEqual(jsonSchemaOf(fileSettings));
  });
});
