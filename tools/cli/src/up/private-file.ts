import { rename, writeFile } from 'node:fs/promises';

/** Writes a file that only its owner can read, whole or not at all. */
export async function writePrivateFile(path: string, value: object): Promise<void> {
  const draft = `${path}.${String(process.pid)}`;
  await writeFile(draft, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600, flush: true });
  await rename(draft, path);
}
