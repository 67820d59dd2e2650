import { delimiter, resolve } from 'node:path';
import {
  readEnvironment,
  serviceSettings,
  serviceVariables,
  type Environment,
  type ServiceSettings,
} from '@tidemark/runtime';
import { z } from 'zod';

const environment = z.object({
  ...serviceVariables,
  /** Folders that may be read from, separated as in PATH; relative ones start at the working directory. */
  TIDEMARK_FILE_ROOTS: z.string().default('.'),
});

/** The settings of the file connector. */
export interface Config extends ServiceSettings {
  /** Absolute paths of the folders that may be read from. */
  readonly roots: readonly string[];
}

/** Reads the settings; throws CONFIG_INVALID that names every faulty variable. */
export function readConfig(env: Environment, workingDirectory: string): Config {
  const values = readEnvironment(environment, env);
  const roots = values.TIDEMARK_FILE_ROOTS.split(delimiter).filter((root) => root !== '');
  return Object.freeze({
    ...serviceSettings(values),
    roots: Object.freeze(roots.map((root) => resolve(workingDirectory, root))),
  });
}
