import type { FieldViolation } from '@tidemark/model';
import type { Environment } from '@tidemark/runtime';

/** A parsed YAML or JSON value; integers beyond a double's are bigints. */
export type Parsed = null | boolean | number | bigint | string | Parsed[] | { [name: string]: Parsed };

const PLACEHOLDER = /\$\$\{|\$\{([^}]*)\}?/g;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Puts environment variables in the place of `${NAME}` in every text value; keys stay as they are, and `$${` stands for `${`
 * itself. What a variable holds stays text, whatever it looks like. Faults are added to `violations`, without values.
 */
export function substituteEnvironment(
  value: Parsed,
  env: Environment,
  violations: FieldViolation[],
  path: readonly (string | number)[] = [],
): Parsed {
  if (typeof value === 'string') {
    return substitute(value, env, (description) => violations.push({ field: path.join('.'), description }));
  }
  if (Array.isArray(value)) {
    return value.map((item, i) => substituteEnvironment(item, env, violations, [...path, i]));
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const entries = Object.entries(value).map(
    ([name, member]) => [name, substituteEnvironment(member, env, violations, [...path, name])] as const,
  );
  // Unlike assignment, this keeps a key such as `__proto__` as data.
  return Object.fromEntries(entries);
}

function substitute(text: string, env: Environment, fault: (description: string) => void): string {
  return text.replace(PLACEHOLDER, (found: string, name: string | undefined) => {
    if (found === '$${') {
      return '${';
    }
    if (name === undefined || !found.endsWith('}') || !NAME.test(name)) {
      fault('has a faulty placeholder; write ${NAME} for an environment variable, $${ for the characters ${');
      return found;
    }
    const replacement = env[name];
    if (replacement === undefined) {
      fault(`needs the environment variable ${name}, which is not set`);
      return found;
    }
    return replacement;
  });
}
