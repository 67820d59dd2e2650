import { readFile } from 'node:fs/promises';
import { contractFault, fileFault } from './file-faults.js';
import type { Folder } from './model-files.js';

/** The number of rows that a count file tells. Throws SOURCE_GONE, or SOURCE_CONTRACT_BROKEN if it holds no number. */
export async function readCountFile(folder: Folder, name: string): Promise<bigint> {
  const path = await folder.realPath(name);
  try {
    const text = (await readFile(path, 'utf8')).trim();
    if (/^\d{1,18}$/.test(text)) return BigInt(text);
  } catch (error) {
    throw fileFault(error, name);
  }
  throw contractFault(`${name} holds no number of rows`);
}
