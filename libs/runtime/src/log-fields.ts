import { describeError } from './error-description.js';

/** Names of fields whose values never reach the log, compared without case, `-` and `_`. */
const SECRET_NAMES = new Set([
  'apikey',
  'authorization',
  'cookie',
  'credential',
  'credentials',
  'internaltoken',
  'password',
  'secret',
  'setcookie',
  'token',
]);

/** Names of fields that hold a source's data, unless their value is a count. */
const DATA_NAMES = new Set([
  'data',
  'document',
  'documents',
  'metadata',
  'payload',
  'record',
  'records',
  'row',
  'rows',
]);

const REDACTED = '[redacted]';
const DEEPEST = 6;

/** Makes the fields of a log line safe and serialisable: secrets and data out, errors described, big integers as text. */
export function logFields(fields: object): Record<string, unknown> {
  return objectFields(fields, 1);
}

function objectFields(fields: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(fields).map(([name, value]: [string, unknown]) => [
    name,
    isHidden(name, value) ? REDACTED : logValue(value, depth),
  ]);
  return Object.fromEntries(entries) as Record<string, unknown>;
}

function isHidden(name: string, value: unknown): boolean {
  const plain = name.toLowerCase().replaceAll(/[-_]/g, '');
  const isCount = ['number', 'bigint', 'boolean'].includes(typeof value);
  return SECRET_NAMES.has(plain) || (DATA_NAMES.has(plain) && !isCount);
}

function logValue(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') {
    return value.toString();
  }
  if (typeof value !== 'object' || value === null || value instanceof Date) {
    return value;
  }
  if (value instanceof Error) {
    return describeError(value);
  }
  if (ArrayBuffer.isView(value)) {
    return `(${String(value.byteLength)} bytes)`;
  }
  if (depth >= DEEPEST) {
    return '(too deep)';
  }
  return Array.isArray(value)
    ? value.map((item) => logValue(item, depth + 1))
    : objectFields(value, depth + 1);
}
