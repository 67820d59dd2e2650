import { usageError } from './usage.js';

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** The filter of conditions such as `status=active`: each field's value as JSON. Throws REQUEST_INVALID. */
export function parseConditions(conditions: readonly string[]): Map<string, string> {
  const parsed = conditions.map(parseCondition);
  const fields = parsed.map(([field]) => field);
  const twice = fields.find((field, i) => fields.indexOf(field) !== i);
  if (twice !== undefined) {
    throw usageError(`--where names ${twice} twice; one value of a field can be asked for.`);
  }
  return new Map(parsed);
}

/** A value that is a JSON scalar is meant as it stands (`true`, `7`, `"7"`), digit for digit; everything else is text. */
function parseCondition(condition: string): readonly [string, string] {
  const equals = condition.indexOf('=');
  if (equals < 1) {
    throw usageError('--where takes a field and its value: --where status=active');
  }
  const value = condition.slice(equals + 1);
  return [condition.slice(0, equals), isScalar(value) ? value : JSON.stringify(value)];
}

function isScalar(text: string): boolean {
  if (NUMBER.test(text)) {
    return true;
  }
  // JSON allows blanks around a value; whoever types them means them.
  if (text !== text.trim()) {
    return false;
  }
  try {
    const value: unknown = JSON.parse(text);
    return value === null || typeof value !== 'object';
  } catch (error) {
    if (error instanceof SyntaxError) {
      return false;
    }
    throw error;
  }
}
