import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { contractFault, fileFault } from './file-faults.js';
import type { Folder } from './model-files.js';

/** More than a number with space around it takes. */
const MAX_BYTES = 256;

/** The number of rows that a count file tells. Throws SOURCE_GONE, or SOURCE_CONTRACT_BROKEN if it holds no number. */
export async function readCountFile(folder: Folder, name: string): Promise<bigint> {
  const path = await folder.realPath(name);
  try {
    const text = (await readStart(path))?.trim() ?? '';
    if (/^\d{1,18}$/.test(text)) return BigInt(text);
  } catch (error) {
    throw fileFault(error, name);
  }
  throw contractFault(`${name} holds no number of rows`);
}

/** The text of a small regular file; undefined for any other. A pipe would block the read, a large file fill the memory. */
async function readStart(path: string): Promise<string | undefined> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await handle.stat()).isFile()) return undefined;
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
    return bytesRead < MAX_BYTES ? buffer.toString('utf8', 0, bytesRead) : undefined;
  } finally {
    await handle.close();
  }
}
