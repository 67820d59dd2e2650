import { createHash, createHmac } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Everything that was written or printed, as bytes. */
export type Haystack = readonly Buffer[];

/** All files below a folder. */
export async function readAll(folder: string): Promise<Buffer[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name))));
}

/** Those of some values that are anywhere in the bytes. */
export function found<T extends string | Uint8Array>(haystack: Haystack, values: readonly T[]): T[] {
  return values.filter((value) => haystack.some((bytes) => bytes.includes(value)));
}

/** How a value may be written before it is hashed, alone or with its place. */
function spellings(value: string, model: string, field: string): string[] {
  const json = JSON.stringify(value);
  return [
    ...[value, json, `${field}\0${value}`, `${field}\0${json}`, `${field}:${value}`, `${field}=${value}`],
    ...[JSON.stringify([field, value]), JSON.stringify([model, field, value]), JSON.stringify([model, field, json])],
    JSON.stringify({ [field]: value }),
  ];
}

/**
 * What a guess of a value could be confirmed by: its hashes without a key, and with keys that whoever has the files knows. The
 * first 8 bytes stand for every hash, however it was cut; beside the bytes, their usual spellings.
 */
export function plainHashes(value: string, model: string, field: string, knownKeys: readonly string[]): (string | Buffer)[] {
  return spellings(value, model, field).flatMap((text) => {
    const digests = [
      ...['sha256', 'sha1', 'md5', 'sha512'].map((algorithm) => createHash(algorithm).update(text).digest()),
      ...knownKeys.map((key) => createHmac('sha256', key).update(text).digest()),
    ];
    return digests.flatMap((digest) => [
      digest.subarray(0, 8),
      digest.toString('hex').slice(0, 16),
      digest.toString('base64').slice(0, 10),
      digest.toString('base64url').slice(0, 10),
    ]);
  });
}
