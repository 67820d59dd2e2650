import { isTidemarkError } from '@tidemark/model';
import type { Environment } from './environment.js';

/**
 * A service's settings from its environment. Faulty ones end the process with 1 and their list on stderr, one line each
 * and without a stack, for whoever started it.
 */
export function configure<Config>(readConfig: (env: Environment) => Config, env: Environment): Config {
  try {
    return readConfig(env);
  } catch (error) {
    if (!isTidemarkError(error, 'CONFIG_INVALID')) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}
