import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { ConnectionSpec, ModelSchedule } from '@tidemark/contracts';
import type { FieldViolation } from '@tidemark/model';
import type { Environment } from '@tidemark/runtime';
import { LineCounter, parseDocument } from 'yaml';
import { connectionFile, type ConnectionFile } from './connection-file-schema.js';
import { substituteEnvironment, type Parsed } from './environment-values.js';
import { writeJson } from './json.js';
import { systemCode } from './system-code.js';
import { usageError } from './usage.js';

/** Reads a connection file. Throws REQUEST_INVALID with every fault at once. */
export async function readConnectionFile(path: string, env: Environment): Promise<ConnectionSpec> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) {
      throw error;
    }
    throw usageError(
      code === 'ENOENT'
        ? `There is no connection file ${path}.`
        : `The connection file ${path} cannot be read (${code}).`,
    );
  }
  return parseConnectionFile(text, { path, env });
}

/** Turns the text of a connection file, YAML or JSON, into what the API takes. */
export function parseConnectionFile(
  text: string,
  { path, env }: { readonly path: string; readonly env: Environment },
): ConnectionSpec {
  const violations: FieldViolation[] = [];
  const value = substituteEnvironment(parseYaml(text, path), env, violations);
  const result = connectionFile.safeParse(value);
  if (!result.success) {
    for (const { path: where, message } of result.error.issues) {
      const field = where.map(String).join('.');
      violations.push({ field: field === '' ? 'the file' : field, description: message });
    }
  }
  if (!result.success || violations.length > 0) {
    const list = violations.map(({ field, description }) => `\n  ${field} ${description}`).join('');
    throw usageError(`The connection file ${path} is not valid:${list}`, violations);
  }
  return toSpec(result.data, path);
}

function parseYaml(text: string, path: string): Parsed {
  const lineCounter = new LineCounter();
  // A pretty error would quote the file, which may hold credentials.
  const document = parseDocument(text, { lineCounter, prettyErrors: false, intAsBigInt: true });
  const [first] = document.errors;
  if (first !== undefined) {
    const { line, col } = lineCounter.linePos(first.pos[0]);
    throw usageError(
      `The connection file ${path} is no YAML or JSON: line ${line}, column ${col} (${first.code}).`,
    );
  }
  return smallIntegers(document.toJS() as Parsed);
}

/** Integers that a double holds become numbers; larger ones keep their digits as bigints. */
function smallIntegers(value: Parsed): Parsed {
  if (typeof value === 'bigint') {
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }
  if (Array.isArray(value)) {
    return value.map(smallIntegers);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, smallIntegers(member)]));
}

function toSpec(file: ConnectionFile, path: string): ConnectionSpec {
  return {
    id: file.name,
    connector: file.connector,
    config: jsonBytes(withAbsolutePath(file, path)),
    credentials: file.credentials === undefined ? new Uint8Array(0) : jsonBytes(file.credentials),
    scope: file.scope && {
      models: Object.entries(file.scope).map(([model, fields]) => ({ model, fields })),
      revision: 0n,
    },
    schedule: file.schedule && {
      ...toIntervals(file.schedule),
      models: Object.fromEntries(
        Object.entries(file.schedule.models ?? {}).map(([model, intervals]) => [
          model,
          toIntervals(intervals),
        ]),
      ),
    },
    guard: file.guard && {
      maxDeletedShare: file.guard.maxDeletedShare,
      minDeletedRecords: file.guard.minDeletedRecords,
      maxQuarantinedShare: file.guard.maxQuarantinedShare,
    },
  };
}

/** A folder of the connector `file` is meant as seen from the connection file, wherever the connector runs. */
function withAbsolutePath({ connector, config = {} }: ConnectionFile, path: string): object {
  return connector === 'file' && 'path' in config && typeof config.path === 'string'
    ? { ...config, path: resolve(dirname(resolve(path)), config.path) }
    : config;
}

function toIntervals(intervals: {
  readonly fullInterval?: number | undefined;
  readonly deltaInterval?: number | undefined;
}): ModelSchedule {
  return {
    fullInterval: toDuration(intervals.fullInterval),
    deltaInterval: toDuration(intervals.deltaInterval),
  };
}

function toDuration(seconds: number | undefined): ModelSchedule['fullInterval'] {
  if (seconds === undefined) {
    return undefined;
  }
  const whole = Math.floor(seconds);
  return { seconds: BigInt(whole), nanos: Math.round((seconds - whole) * 1e9) };
}

function jsonBytes(value: object): Uint8Array {
  return Buffer.from(writeJson(value as Parsed));
}
