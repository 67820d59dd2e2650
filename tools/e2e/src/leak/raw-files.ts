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

/** Those of some values, of two bytes at least, that are anywhere in the bytes: all of them are looked for in one pass. */
export function found<T extends string | Uint8Array>(haystack: Haystack, values: readonly T[]): T[] {
  const byStart = new Map<number, { readonly value: T; readonly bytes: Buffer }[]>();
  const starts = new Uint8Array(0x10000);
  for (const value of values) {
    const bytes = Buffer.from(value as string);
    const start = bytes.readUInt16BE(0);
    starts[start] = 1;
    byStart.set(start, [...(byStart.get(start) ?? []), { value, bytes }]);
  }
  const seen = new Set<T>();
  for (const bytes of haystack) {
    for (let at = 0, start = bytes[0] ?? 0; at + 1 < bytes.length; at++) {
      start = ((start & 0xff) << 8) | (bytes[at + 1] ?? 0);
      if (starts[start] !== 1) continue;
      for (const one of byStart.get(start) ?? [])
        if (one.bytes.equals(bytes.subarray(at, at + one.bytes.length))) seen.add(one.value);
    }
  }
  return values.filter((value) => seen.has(value));
}

/** How a value may be written before it is hashed, alone or with its place. */
function spellings(value: string, model: string, field: string): string[] {
  const json = JSON.stringify(value);
  return [
    ...[value, json, `${field}\0${value}`, `${field}\0${json}`, `${field}:${value}`, `${field}=${value}`],
    ...[
      JSON.stringify([field, value]),
      JSON.stringify([model, field, value]),
      JSON.stringify([model, field, json]),
    ],
    JSON.stringify({ [field]: value }),
  ];
}

/**
 * What a guess of a value could be confirmed by: its hashes without a key, and with keys that whoever has the files knows. The
 * first 8 bytes stand for every hash, however it was cut; beside the bytes, their usual spellings.
 */
export function plainHashes(
  value: string,
  model: string,
  field: string,
  knownKeys: readonly (string | Buffer)[],
): (string | Buffer)[] {
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
