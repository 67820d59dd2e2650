import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FileSource } from './testing/file-source.js';

let source: FileSource;
beforeEach(async () => (source = await FileSource.start()));
afterEach(() => source.stop());

const MEBIBYTE = 1024 * 1024;

function* generated(
  first: string,
  row: (i: number) => string,
  last: string,
  bytes: number,
): Generator<string> {
  yield first;
  for (let i = 0, size = 0; size < bytes; size += MEBIBYTE / 4) {
    let block = '';
    while (block.length < MEBIBYTE / 4) block += row(i++);
    yield block;
  }
  yield last;
}

const pad = 'x'.repeat(800);

describe('memory', () => {
  it.each([
    ['jsonl', '', (i: number) => `{"id":${i},"name":"${pad}"}\n`, '', 100],
    ['csv', 'id,name\n', (i: number) => `${i},"${pad}"\n`, '', 16],
    ['json', '[{"id":-1}', (i: number) => `,{"id":${i},"name":"${pad}"}`, ']', 32],
    ['jsonl.gz', '', (i: number) => `{"id":${i},"name":"${pad}"}\n`, '', 48],
    // A line that never ends, and text that never ends: neither is held.
    ['jsonl.gz', '{"id":1,"name":"', () => pad, '"}\n', 48],
    ['json.gz', '[{"id":1,"name":"', () => pad, '"}]', 48],
  ])('stays flat over a big file (%s, beginning with %j)', async (extension, first, row, last, mebibytes) => {
    const zip = extension.endsWith('.gz') ? [createGzip({ level: 1 })] : [];
    const file = createWriteStream(join(source.folder, `big.${extension}`));
    await pipeline([Readable.from(generated(first, row, last, mebibytes * MEBIBYTE)), ...zip, file]);
    let peak = 0;
    const used = () => {
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const before = used();
    const { signal } = source.context;
    const request = {
      settings: source.settings({}),
      model: 'big',
      kind: 1,
      checkpoint: Buffer.alloc(0),
      fields: ['id', 'name'],
    };
    const limits = {
      fingerprintKey: Buffer.alloc(32, 1),
      pageRecords: 500,
      pageBytes: 4 * MEBIBYTE,
      overlap: undefined,
    };
    let count = 0;
    for await (const { message } of source.handlers.read({ ...request, ...limits }, { signal })) {
      peak = Math.max(peak, used());
      if (message?.$case === 'page') count += message.value.records.length + message.value.rejected.length;
    }
    expect(count).toBeGreaterThan(0);
    expect(peak - before).toBeLessThan(120 * MEBIBYTE);
  });
});
