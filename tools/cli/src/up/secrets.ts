import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { TidemarkError } from '@tidemark/model';
import {
  masterKey,
  masterKeyVariables,
  previousMasterKeys,
  readEnvironment,
  type DeepReadonly,
  type Environment,
} from '@tidemark/runtime';
import { z } from 'zod';
import { writePrivateFile } from './private-file.js';

// Strict, for a misspelt name of a key would leave data unreadable.
const file = z.strictObject({
  /** Absent if the environment gives it. */
  masterKey: masterKey.optional(),
  previousMasterKeys: previousMasterKeys.default([]),
  internalToken: z.string().min(32),
  apiKey: z.string().regex(/^tm_[A-Za-z0-9-]+_[A-Za-z0-9_-]+$/),
});
type SecretsFile = z.output<typeof file>;

const variables = z.object({
  ...masterKeyVariables,
  TIDEMARK_MASTER_KEY: masterKeyVariables.TIDEMARK_MASTER_KEY.optional(),
});

/** The secrets of one data folder. */
export interface Secrets {
  /** Seals what is stored; base64 of 32 bytes. */
  readonly masterKey: string;
  /** Open what was sealed before the master key was changed. */
  readonly previousMasterKeys: readonly string[];
  /** What the services prove themselves to each other with. */
  readonly internalToken: string;
  /** `tm_<id>_<secret>` with the role admin. */
  readonly apiKey: string;
}

/**
 * Reads the secrets of a data folder; makes them at the first start, which the notice tells of. A master key in the
 * environment goes before the file's, which then counts as a previous one. Throws CONFIG_INVALID.
 */
export async function loadSecrets(
  path: string,
  env: Environment,
): Promise<{ readonly secrets: Secrets; readonly notice: string | undefined }> {
  const given = readEnvironment(variables, env);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') {
      return undefined;
    }
    throw new TidemarkError('CONFIG_INVALID', `${path} cannot be read (${error.code ?? 'unknown error'}).`);
  });
  const stored =
    text === undefined ? await makeFile(path, given.TIDEMARK_MASTER_KEY === undefined) : parse(text, path);
  const secrets = combine(stored, given, path);
  return { secrets, notice: text === undefined ? noticeOf(stored, path) : undefined };
}

async function makeFile(path: string, withMasterKey: boolean): Promise<SecretsFile> {
  const secrets = {
    ...(withMasterKey ? { masterKey: randomBytes(32).toString('base64') } : {}),
    internalToken: randomBytes(32).toString('hex'),
    apiKey: `tm_${randomBytes(6).toString('hex')}_${randomBytes(24).toString('hex')}`,
  };
  await writePrivateFile(path, secrets);
  return { ...secrets, previousMasterKeys: [] };
}

function noticeOf(made: SecretsFile, path: string): string {
  return made.masterKey === undefined
    ? `First start: made an internal token and an API key in ${path}; the master key is that of the environment. Keep both.`
    : `First start: made a master key, an internal token and an API key in ${path}. Keep that file: without its master key, what is stored cannot be read.`;
}

function combine(
  stored: SecretsFile,
  given: DeepReadonly<z.output<typeof variables>>,
  path: string,
): Secrets {
  const current = given.TIDEMARK_MASTER_KEY ?? stored.masterKey;
  if (current === undefined) {
    throw new TidemarkError(
      'CONFIG_INVALID',
      `${path} holds no masterKey, and TIDEMARK_MASTER_KEY is not set: give the one that the data was sealed under.`,
    );
  }
  const known = [
    ...given.TIDEMARK_PREVIOUS_MASTER_KEYS,
    ...(stored.masterKey === undefined ? [] : [stored.masterKey]),
    ...stored.previousMasterKeys,
  ];
  const previous = previousMasterKeys.safeParse([...new Set(known)].filter((key) => key !== current));
  if (!previous.success) {
    const allowed = previous.error.issues[0]?.message ?? 'are not valid';
    throw new TidemarkError(
      'CONFIG_INVALID',
      `previous master keys, of ${path} and the environment, ${allowed}`,
    );
  }
  const { internalToken, apiKey } = stored;
  return { masterKey: current, previousMasterKeys: previous.data, internalToken, apiKey };
}

function parse(text: string, path: string): SecretsFile {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    // The cause would quote secrets.
    throw damaged(path, 'it is no JSON');
  }
  const result = file.safeParse(content);
  if (result.success) {
    return result.data;
  }
  const faults = result.error.issues.map(({ path: at, message }) =>
    [at.join('.'), message].filter(Boolean).join(' '),
  );
  throw damaged(path, faults.join('; '));
}

/** Never made anew by itself: a new master key would make what is stored unreadable. */
function damaged(path: string, why: string): TidemarkError {
  return new TidemarkError(
    'CONFIG_INVALID',
    `${path} is damaged (${why}): mend it, restore it from a backup, or choose another folder with --data DIR.`,
  );
}
