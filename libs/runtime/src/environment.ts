import { TidemarkError } from '@tidemark/model';
import { z } from 'zod';

/** Environment variables by name, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A type whose every property, at any depth, cannot be assigned. */
export type DeepReadonly<T> = T extends (infer E)[]
  ? readonly DeepReadonly<E>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

/** `host:port`. */
export const address = z.string().regex(/^.+:\d{1,5}$/, 'must be host:port, for example 127.0.0.1:7100');

/** The least severe level that is logged; `info` when absent. */
export const logLevel = z.enum(['debug', 'info', 'warn', 'error']).default('info');

/** A shared secret. */
export const secret = z.string().min(32, 'must have at least 32 characters');

/** The variables that every service takes; spread them into its schema. */
export const serviceVariables = {
  TIDEMARK_LISTEN: address.default('127.0.0.1:0'),
  TIDEMARK_INTERNAL_TOKEN: secret,
  TIDEMARK_LOG_LEVEL: logLevel,
};

/** The settings that every service has. */
export interface ServiceSettings {
  /** Where to listen, `host:port`. */
  readonly listen: string;
  /** What the services prove themselves to each other with. */
  readonly internalToken: string;
  readonly logLevel: z.output<typeof logLevel>;
}

/** Names what `serviceVariables` read. */
export function serviceSettings(values: {
  readonly [Name in keyof typeof serviceVariables]: z.output<(typeof serviceVariables)[Name]>;
}): ServiceSettings {
  return {
    listen: values.TIDEMARK_LISTEN,
    internalToken: values.TIDEMARK_INTERNAL_TOKEN,
    logLevel: values.TIDEMARK_LOG_LEVEL,
  };
}

/**
 * Reads settings from the environment by a zod schema whose keys are the variables' names. An empty variable counts as
 * absent. Throws CONFIG_INVALID that names every faulty variable at once, and never quotes a value.
 */
export function readEnvironment<S extends z.ZodType>(schema: S, env: Environment): DeepReadonly<z.output<S>> {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const result = schema.safeParse(given);
  if (result.success) {
    return deepFreeze(result.data) as DeepReadonly<z.output<S>>;
  }
  const violations = result.error.issues.map((issue) => {
    const field = String(issue.path[0] ?? 'environment');
    return { field, description: field in given || issue.path.length === 0 ? issue.message : 'is required' };
  });
  const list = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  throw new TidemarkError('CONFIG_INVALID', `The environment is not valid: ${list}`, { violations });
}

function deepFreeze(value: unknown): unknown {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) {
      deepFreeze(inner);
    }
  }
  return value;
}
