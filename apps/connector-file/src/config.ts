import { delimiter, resolve } from 'node:path';
import {
  address,
  logLevel,
  readEnvironment,
  secret,
  type Environment,
  type LogLevel,
} from '@tidemark/runtime';
import { z } from 'zod';

const environment = z.object({
  TIDEMARK_LISTEN: address.default('127.0.0.1:0'),
  TIDEMARK_INTERNAL_TOKEN: secret,
  TIDEMARK_LOG_LEVEL: logLevel,
  /** Folders that may be read from, separated as in PATH; relative ones start at the working directory. */
  TIDEMARK_FILE_ROOTS: z.string().default('.'),
});

/** The settings of the file connector. */
export interface Config {
  readonly listen: string;
  /** The services' shared secret. */
  readonly internalToken: string;
  readonly logLevel: LogLevel;
  /** Absolute paths of the folders that may be read from. */
  readonly roots: readonly string[];
}

/** Reads the settings; throws CONFIG_INVALID that names every faulty variable. */
export function readConfig(env: Environment, workingDirectory: string): Config {
  const values = readEnvironment(environment, env);
  const roots = values.TIDEMARK_FILE_ROOTS.split(delimiter).filter((root) => root !== '');
  return Object.freeze({
    listen: values.TIDEMARK_LISTEN,
    internalToken: values.TIDEMARK_INTERNAL_TOKEN,
    logLevel: values.TIDEMARK_LOG_LEVEL,
    roots: Object.freeze(roots.map((root) => resolve(workingDirectory, root))),
  });
}
