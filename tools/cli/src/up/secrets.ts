import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { TidemarkError } from '@tidemark/model';
import { z } from 'zod';
import { writePrivateFile } from './private-file.js';

const secrets = z.object({
  /** Seals credentials; base64 of 32 bytes. */
  masterKey: z.base64(),
  /** What the services prove themselves to each other with. */
  internalToken: z.string().min(32),
  /** `tm_<id>_<secret>` with the role admin. */
  apiKey: z.string().regex(/^tm_[A-Za-z0-9-]+_[A-Za-z0-9_-]+$/),
});

/** The secrets of one data folder. */
export type Secrets = z.output<typeof secrets>;

/** Reads the secrets of a data folder; makes them at the first start. */
export async function loadSecrets(
  path: string,
): Promise<{ readonly secrets: Secrets; readonly isNew: boolean }> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') {
      return undefined;
    }
    throw new TidemarkError('CONFIG_INVALID', `${path} cannot be read (${error.code ?? 'unknown error'}).`);
  });
  if (text !== undefined) {
    return { secrets: parseSecrets(text, path), isNew: false };
  }
  const made: Secrets = {
    masterKey: randomBytes(32).toString('base64'),
    internalToken: randomBytes(32).toString('hex'),
    apiKey: `tm_${randomBytes(6).toString('hex')}_${randomBytes(24).toString('hex')}`,
  };
  await writePrivateFile(path, made);
  return { secrets: made, isNew: true };
}

function parseSecrets(text: string, path: string): Secrets {
  try {
    return secrets.parse(JSON.parse(text));
  } catch {
    // Never made anew by itself: a new master key would make what is stored unreadable. The cause would quote secrets.
    throw new TidemarkError(
      'CONFIG_INVALID',
      `${path} is damaged: restore it from a backup, or choose another folder with --data DIR.`,
    );
  }
}
