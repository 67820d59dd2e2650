import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LogFile } from './log-file.js';
import { lineSplitter, troubleIn } from './log-line.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-log-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('a log file', () => {
  it('stays within its bound, the one before it kept beside it', async () => {
    const path = join(folder, 'store.log');
    const log = new LogFile(path, 100);
    for (let i = 0; i < 50; i++) {
      log.write(`line ${String(i)}\n`);
    }
    log.close();
    expect((await readdir(folder)).sort()).toEqual(['store.log', 'store.log.1']);
    expect((await stat(path)).size).toBeLessThanOrEqual(100);
    expect(await readFile(path, 'utf8')).toMatch(/line 49\n$/);
  });
});

describe('a line of a log', () => {
  it.each([
    ['{"level":"warn","msg":"slow"}', 'store warn: slow'],
    ['{"level":"error","msg":"failed","error":{"message":"no luck"}}', 'store error: failed: no luck'],
    ['{"level":"info","msg":"ready"}', undefined],
    ['(node:1) Warning: something', undefined],
  ])('%s shows as %j', (line, shown) => {
    expect(troubleIn(line, 'store')).toBe(shown);
  });

  it('is put together from pieces, also within a character', () => {
    const lines: string[] = [];
    const split = lineSplitter((line) => lines.push(line));
    const bytes = Buffer.from('Zoë\nb\nc');
    split(bytes.subarray(0, 3));
    split(bytes.subarray(3));
    expect(lines).toEqual(['Zoë', 'b']);
  });
});
