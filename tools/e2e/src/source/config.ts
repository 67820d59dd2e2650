import {
  address,
  readEnvironment,
  serviceSettings,
  serviceVariables,
  type Environment,
  type ServiceSettings,
} from '@tidemark/runtime';
import { z } from 'zod';

const environment = z.object({
  ...serviceVariables,
  /** Where the control API listens. */
  LIVING_CONTROL: address.default('127.0.0.1:0'),
  /** The file that holds what the sources hold. */
  LIVING_FILE: z.string(),
});

/** The settings of the living source's process. */
export interface Config extends ServiceSettings {
  readonly control: string;
  readonly file: string;
}

/** Reads the settings; throws CONFIG_INVALID that names every faulty variable. */
export function readConfig(env: Environment): Config {
  const values = readEnvironment(environment, env);
  return Object.freeze({
    ...serviceSettings(values),
    control: values.LIVING_CONTROL,
    file: values.LIVING_FILE,
  });
}
